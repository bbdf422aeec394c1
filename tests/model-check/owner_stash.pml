/* The owner stash and its wake-up (cpp/src/remote/owner_stash.cpp, home.cpp): three threads leave
 * three batches each with a shard whose lock somebody may hold. Nobody waits for the lock; whoever
 * lets go of it looks again. Shown for every interleaving: a batch is drained once, and when all
 * have gone none is left.
 *
 * -DFASTPOP drains by taking one batch after the other instead of all at once: right as well.
 * Broken twins, each of which must fail:
 *   -DNO_SECOND_LOOK   the lock is let go without a look at the flag
 *   -DPLAIN_STORE      the flag is taken back with a store, which the look at the stash may overtake
 *   -DTRY_FIRST        the lock is tried before the flag is raised
 *   -DNO_LOCK          batches are taken one by one without the lock
 */
#define THREADS 3
#define BATCHES 3
#define TOTAL (THREADS * BATCHES)
#define NONE 255

byte head = NONE;
byte next[TOTAL];
bool drained[TOTAL];
bool locked;
bool waiting;
byte finished;
#ifdef PLAIN_STORE
bool buffered;  /* the lock holder's store that nobody else sees yet */
#endif

inline push(batch) {
  do
  :: old = head;
    next[batch] = old;
    if
    :: atomic { head == old -> head = batch } break
    :: head != old
    fi
  od
}

inline drain_one() { d_step { assert(!drained[top]); drained[top] = true } }

inline drain() {
#ifdef FASTPOP
  do
  :: top = head;
    if
    :: top == NONE -> break
    :: else ->
      old = next[top];
      if
      :: atomic { head == top -> head = old } drain_one()
      :: head != top
      fi
    fi
  od
#else
  d_step { top = head; head = NONE }
  do
  :: top == NONE -> break
  :: else -> old = next[top]; drain_one(); top = old
  od
#endif
}

/* With the lock held; lets go of it. */
inline drain_and_unlock() {
  do
  ::
#ifdef PLAIN_STORE
    buffered = true;
    if
    :: head == NONE  /* the look: only if it finds something, the locked exchange */
    :: head != NONE -> d_step { waiting = false; buffered = false } drain()
    fi;
    /* letting go is a locked operation: the store has landed */
    d_step { if :: buffered -> waiting = false; buffered = false :: else fi; locked = false };
#else
    waiting = false;
    drain();
    locked = false;
#endif
#ifdef NO_SECOND_LOOK
    break
#else
    if
    :: !waiting -> break
    :: waiting ->
      if
      :: atomic { !locked -> locked = true }
      :: locked -> break
      fi
    fi
#endif
  od
}

proctype thread(byte self) {
  byte batch = self * BATCHES, old, top;
  bool mine;
  do
  :: batch < (self + 1) * BATCHES ->
    push(batch);
#ifdef NO_LOCK
    drain();
#else
#ifndef TRY_FIRST
    waiting = true;
#endif
    d_step { mine = !locked; locked = true };
#ifdef TRY_FIRST
    waiting = true;
#endif
    if
    :: mine -> drain_and_unlock()
    :: !mine
    fi;
#endif
    batch++
  :: else -> break
  od;
  old = 0; top = 0;
  finished++
}

#ifdef PLAIN_STORE
/* Stores land some time, too. */
active proctype memory() {
  do
  :: d_step { buffered -> waiting = false; buffered = false }
  :: finished == THREADS && !buffered -> break
  od
}
#endif

init {
  byte i = 0;
  atomic { run thread(0); run thread(1); run thread(2) }
  finished == THREADS;
  d_step {
    assert(head == NONE && !locked);
    do
    :: i < TOTAL -> assert(drained[i]); i++
    :: else -> break
    od
  }
}

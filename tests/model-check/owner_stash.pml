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
 */
#define THREADS 3
#ifndef BATCHES
#define BATCHES 3
#endif
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
    /* nobody else sees the link of a batch that is not yet in the stash */
  :: atomic { old = head; next[batch] = old }
    if
    :: atomic { head == old -> head = batch; break }
    :: head != old
    fi
  od
}

inline drain_one() { assert(!drained[top]); drained[top] = true }

/* What was taken with one exchange is ours: walking it needs no steps of its own. */
inline drain() {
#ifdef FASTPOP
  do
  :: atomic {
      top = head;
      if
      :: top == NONE -> break
      :: else -> old = next[top]
      fi
    }
    if
    :: atomic { head == top -> head = old; drain_one() }
    :: head != top
    fi
  od
#else
  atomic {
    top = head;
    head = NONE;
    do
    :: top == NONE -> break
    :: else -> drain_one(); top = next[top]
    od
  }
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
    :: atomic { head != NONE -> if :: buffered -> waiting = false; buffered = false :: else fi }
      drain()
    fi;
    /* letting go is a locked operation: the store has landed */
    atomic { if :: buffered -> waiting = false; buffered = false :: else fi; locked = false };
#else
    waiting = false;
    drain();
    locked = false;
#endif
#ifdef NO_SECOND_LOOK
    break
#else
    if
    :: atomic { !waiting -> break }
    :: else ->
      if
      :: atomic { !locked -> locked = true }
      :: atomic { locked -> break }
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
#ifdef TRY_FIRST
    atomic { mine = !locked; locked = true }
    waiting = true;
#else
    waiting = true;
    atomic { mine = !locked; locked = true }
#endif
    if
    :: mine -> drain_and_unlock()
    :: else
    fi;
    atomic { batch++; old = 0; top = 0; mine = false }
  :: else -> break
  od;
  finished++
}

#ifdef PLAIN_STORE
/* Stores land some time, too. */
active proctype memory() {
  do
  :: atomic { buffered -> waiting = false; buffered = false }
  :: finished == THREADS && !buffered -> break
  od
}
#endif

init {
  byte i = 0;
  atomic { run thread(0); run thread(1); run thread(2) }
  finished == THREADS;
  atomic {
    assert(head == NONE && !locked);
    do
    :: i < TOTAL -> assert(drained[i]); i++
    :: else -> break
    od
  }
}

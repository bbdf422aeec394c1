/* The owner stash, its spill and its wake-up (cpp/src/remote/owner_stash.cpp, home.cpp, route.cpp):
 * batches of two blocks for one shard, whose lock somebody may hold.
 *
 *   leaver    leaves BATCHES batches: if somebody has the lock, he goes on and does not wait
 *   sender    pushes one batch and does not look at the lock (remote_route=owner_stash)
 *   visitor   holds the lock for something else: he drains nothing before, and either takes blocks
 *             for a refill, by every setting of the knobs, or does not look at the stash at all
 *   watcher   holds the lock and lets go of it without a look (audits, observation, fork)
 *
 * Shown for every interleaving:
 *   - no block is lost, and none is taken twice;
 *   - when all are done, nothing that was left waits in the stash or in the spill. After a watcher
 *     this holds once somebody has used the lock again. What was sent may wait.
 *   - nobody waits for ever.
 *
 * -DLEAVERS=n -DBATCHES=n -DSENDERS=n -DVISITORS=n -DWATCHERS=n: how many there are.
 *
 * Broken twins, each of which must fail:
 *   the wake-up
 *   -DNO_SECOND_LOOK   the lock is let go without a look at the flag
 *   -DVISITOR_SILENT   the same, but only by who came for something else
 *   -DEARLY_LOOK       the look at the flag comes before the lock is let go
 *   -DLATE_LOWER       the flag is taken back after the stash was emptied
 *   -DPLAIN_STORE      the flag is taken back with a store, which the look at the stash may overtake
 *   -DTRY_FIRST        the lock is tried before the flag is raised
 *   -DKEEP_LOCK        the lock is not let go after the second look
 *   -DWATCHER_LAST     nobody uses the lock after a watcher
 *   the stash
 *   -DPUSH_STORE       a push stores its batch instead of comparing and swapping
 *   -DDRAIN_STORE      a drain reads and stores instead of exchanging
 *   -DUNLOCKED         a refill takes from the stash without the lock
 *   the spill
 *   -DNO_SPILL         what a drain does not need at once is dropped
 *   -DSPILL_LAST       a drain makes a spill although there is one
 *   -DSPILL_UNSEEN     whoever empties the stash does not look whether there is spill
 *   -DNO_PUT_BACK      the rest of a batch that was used in part is not put back
 *   -DPUT_BACK_WHOLE   it is put back with the blocks that were taken
 *   -DPUT_BACK_ALONE   it is put back in place of the other spill
 */
#ifndef LEAVERS
#define LEAVERS 3
#endif
#ifndef BATCHES
#define BATCHES 1
#endif
#ifndef SENDERS
#define SENDERS 0
#endif
#ifndef VISITORS
#define VISITORS 0
#endif
#ifndef WATCHERS
#define WATCHERS 0
#endif
#define LEFT (LEAVERS * BATCHES)
#define TOTAL (LEFT + SENDERS)
#define THREADS (LEAVERS + SENDERS + VISITORS + WATCHERS)
#define BLOCKS 2
#define NONE 255

byte head = NONE;
byte spill = NONE;     /* under the lock */
byte next[TOTAL];
byte blocks[TOTAL];    /* in the batch */
byte used;             /* blocks that went into the spans or to a thread */
bool locked;
bool waiting;
byte finished;
bool lost, twice, forgotten;  /* what must never be */
#ifdef PLAIN_STORE
bool buffered;  /* the lock holder's store that nobody else sees yet */
#endif

inline push(batch) {
  do
    /* nobody else sees the link of a batch that is not yet in the stash */
  :: atomic { old = head; next[batch] = old; blocks[batch] = BLOCKS }
    if
#ifdef PUSH_STORE
    :: atomic { head = batch; break }
#else
    :: atomic { head == old -> head = batch; break }
    :: head != old
#endif
    fi
  od;
  old = 0
}

inline use_whole() {
  twice = blocks[top] == 0;
  assert(!twice);
  used = used + blocks[top];
  blocks[top] = 0
}

/* One batch of the spill, else of the stash: `one` leaves the others there, else they become spill.
 * The spill and the links of batches in our hands are ours: no steps of their own. */
inline pop(one) {
  if
#ifndef SPILL_LAST
  :: atomic { spill != NONE -> top = spill; spill = next[top] }
  :: atomic { spill == NONE -> top = head }
#else
  :: atomic { spill != NONE && head == NONE -> top = spill; spill = next[top] }
  :: atomic { spill == NONE || head != NONE -> top = head }
#endif
    do
    :: atomic { top == NONE -> break }
    :: atomic { one && top != NONE && head == top -> head = next[top]; break }
    :: atomic { one && top != NONE && head != top -> top = head }
#ifdef DRAIN_STORE
    :: !one && top != NONE -> atomic { top = head };
      atomic { head = NONE; keep_spill(); break }
#else
    :: atomic { !one && top != NONE -> top = head; head = NONE; keep_spill(); break }
#endif
    od
  fi
}

inline keep_spill() {
  if
#ifndef NO_SPILL
  :: top != NONE -> spill = next[top]
#endif
  :: else
  fi
}

/* Blocks for a refill that has room for `room`; as drain_limit, stash_fastpop and stash_spill say,
 * which may be turned at any time. */
inline take() {
  if
  :: room = 1
  :: room = 2
  :: room = 3
  fi;
  if
  :: fast = false
  :: fast = true
  fi;
  do
  :: atomic { room == 0 -> break }
  :: room != 0 ->
    pop(fast);
    if
    :: atomic { top == NONE -> break }
    :: atomic { top != NONE && blocks[top] <= room -> room = room - blocks[top]; use_whole() }
    :: atomic { top != NONE && blocks[top] > room ->
        used = used + room;
#ifndef PUT_BACK_WHOLE
        blocks[top] = blocks[top] - room;
#endif
#ifdef PUT_BACK_ALONE
        next[top] = NONE;
#else
        next[top] = spill;
#endif
#ifndef NO_PUT_BACK
        spill = top;
#endif
        break
      }
    fi
  od;
  if
  :: atomic { room = 0; fast = false; top = 0 }
  :: atomic {
      do
      :: spill == NONE -> break
      :: else -> top = spill; spill = next[top]; use_whole()
      od;
      room = 0; fast = false; top = 0
    }
  fi
}

/* Empties the stash and the spill. */
inline drain() {
  do
#ifdef SPILL_UNSEEN
  :: atomic { head == NONE -> break }
  :: head != NONE ->
#else
  :: atomic { head == NONE && spill == NONE -> break }
  :: head != NONE || spill != NONE ->
#endif
    pop(false);
    if
    :: top == NONE
    :: atomic { top != NONE -> use_whole() }
    fi
  od;
  top = 0
}

/* With the lock held; lets go of it, and once more when somebody left a batch meanwhile. */
inline unlock() {
  do
  ::
#ifdef EARLY_LOOK
    if
    :: !waiting -> locked = false; break
    :: waiting
    fi;
#endif
#ifdef PLAIN_STORE
    /* letting go is a locked operation: the store has landed */
    atomic { if :: buffered -> waiting = false; buffered = false :: else fi; locked = false };
#else
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
    fi;
    lower_and_drain();
#ifdef KEEP_LOCK
    break
#endif
#endif
  od
}

inline lower_and_drain() {
#ifdef PLAIN_STORE
  buffered = true;
  if
  :: head == NONE  /* the look: only if it finds something, the locked exchange */
  :: atomic { head != NONE -> if :: buffered -> waiting = false; buffered = false :: else fi }
    drain()
  fi
#else
#ifdef LATE_LOWER
  drain();
  waiting = false
#else
  waiting = false;
  drain()
#endif
#endif
}

proctype leaver(byte self) {
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
    :: mine -> lower_and_drain(); unlock()
    :: else
    fi;
    atomic { batch++; mine = false }
  :: else -> break
  od;
  finished++
}

proctype sender(byte batch) {
  byte old;
  push(batch);
  finished++
}

proctype visitor() {
  byte top, room;
  bool fast;
#ifdef UNLOCKED
  take();
#endif
  atomic { !locked -> locked = true }
#ifndef UNLOCKED
  if
  :: head != NONE || spill != NONE -> take()
  :: true  /* came for something else, or found nothing */
  fi;
#endif
#ifdef VISITOR_SILENT
  locked = false;
#else
  unlock();
#endif
  finished++
}

proctype watcher() {
  atomic { !locked -> locked = true }
  locked = false;
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

/* The blocks that wait in a list; what is counted is not met again. */
inline count_waiting(first) {
  i = first;
  do
  :: i == NONE -> break
  :: else ->
    twice = blocks[i] == 0;
    assert(!twice);
    if
    :: i < LEFT -> left = left + blocks[i]
    :: else -> sent = sent + blocks[i]
    fi;
    blocks[i] = 0;
    i = next[i]
  od
}

init {
  byte i, left, sent, top;
  atomic {
    do
    :: i < LEAVERS -> run leaver(i); i++
    :: else -> i = 0; break
    od;
    do
    :: i < SENDERS -> run sender(LEFT + i); i++
    :: else -> i = 0; break
    od;
    do
    :: i < VISITORS -> run visitor(); i++
    :: else -> i = 0; break
    od;
    do
    :: i < WATCHERS -> run watcher(); i++
    :: else -> i = 0; break
    od
  }
  finished == THREADS;
  !locked;
#if WATCHERS > 0 && !defined(WATCHER_LAST)
  locked = true;
  unlock();
#endif
  atomic {
    count_waiting(head);
    count_waiting(spill);
    lost = used + left + sent < TOTAL * BLOCKS;
    assert(!lost);
    twice = used + left + sent > TOTAL * BLOCKS;
    assert(!twice);
    forgotten = left != 0;
    assert(!forgotten)
  }
}

/* The stack of magazines behind the transfer cache (cpp/src/remote/magazine.cpp): three threads with
 * three magazines each (-DEACH=n: with n) push and pop them without a lock. Shown for every interleaving: a magazine is
 * never with two threads, and none is lost.
 *
 * Broken twins, each of which must fail:
 *   -DNO_TAG     the head changes back without anybody noticing (ABA)
 *   -DNO_SWAP    a pop looks and stores instead of comparing and swapping
 */
#define THREADS 3
#ifndef EACH
#define EACH 3
#endif
#define TOTAL (THREADS * EACH)
#define NONE 15

byte head = NONE;
byte tag;
byte next[TOTAL];
bool inside[TOTAL];  /* in the stack, as its users see it */
byte count;          /* of what lies in the stack */
byte finished;

inline push() {
  atomic { mine--; m = held[mine]; held[mine] = 0 };
  do
  :: atomic { seen = head; seen_tag = tag; next[m] = seen }
    if
    :: atomic {
        head == seen && tag == seen_tag ->
        head = m;
#ifndef NO_TAG
        tag++;
#endif
        assert(!inside[m]);
        inside[m] = true;
        count++;
        break
      }
    :: !(head == seen && tag == seen_tag)
    fi
  od
}

inline pop() {
  do
  :: atomic { seen = head; seen_tag = tag; if :: seen == NONE -> break :: else fi }
    m = next[seen];
    if
    :: atomic {
#ifndef NO_SWAP
        head == seen && tag == seen_tag ->
#endif
        head = m;
#ifndef NO_TAG
        tag++;
#endif
        assert(inside[seen]);
        inside[seen] = false;
        count--;
        held[mine] = seen;
        mine++;
        break
      }
#ifndef NO_SWAP
    :: !(head == seen && tag == seen_tag)
#endif
    fi
  od
}

proctype thread(byte self) {
  byte held[TOTAL], mine, m, seen, seen_tag;
  atomic {
    do
    :: mine < EACH -> held[mine] = self * EACH + mine; mine++
    :: else -> break
    od
  }
  push();
#if EACH > 1
  push();
#endif
  pop();
  pop();
  if
  :: mine != 0 -> push()
  :: mine == 0
  fi;
#if EACH > 2
  pop();
#endif
  atomic {
    /* what it holds now stays with it */
    do
    :: mine != 0 -> mine--; assert(!inside[held[mine]]); count++
    :: else -> break
    od;
    m = 0; seen = 0; seen_tag = 0;
    finished++
  }
}

init {
  atomic { run thread(0); run thread(1); run thread(2) }
  finished == THREADS;
  assert(count == TOTAL)
}

/* The page queue (cpp/src/remote/page_queue.cpp): three producers mark three blocks each in two
 * spans, the owner collects. Shown for every interleaving: no block is lost, none comes home twice,
 * and nobody touches the marks of a span that was given back.
 *
 * Broken twins, each of which must fail:
 *   -DPLAIN_STORE   "queued" is withdrawn with a store, which a look at the bits may overtake
 *   -DLATE_CLEAR    the bits are taken before "queued" is withdrawn
 *   -DNO_COUNT      a span is given back although a producer is still in it
 *   -DLATE_NEXT     the link is read after "queued" was withdrawn
 */
#ifndef PRODUCERS
#define PRODUCERS 3
#endif
#ifndef SPANS
#define SPANS 2
#endif
#define BLOCKS 3
#define NONE 255

#define SPAN_OF(p, b) (((p) + (b)) % SPANS)
#define BIT_OF(p, b) (1 << ((p) * BLOCKS + (b)))
#define ALL ((1 << (PRODUCERS * BLOCKS)) - 1)

short bits[SPANS];       /* pending blocks */
byte inside[SPANS];      /* the control word: producers, queued, closed */
bool queued[SPANS];
bool closed[SPANS];
short out[SPANS];        /* blocks that have not come home, as the owner sees it */
byte head = NONE;
byte next[SPANS];
short home;
byte finished;

#ifdef PLAIN_STORE
bool buffered[SPANS];    /* the owner's store that nobody else sees yet */
#endif

proctype producer(byte self) {
  byte block = 0, span, old;
  bool was_queued;
  do
  :: atomic {
      block < BLOCKS ->
      span = SPAN_OF(self, block);
      assert(!closed[span]);
      inside[span]++
    }
    atomic { assert(!closed[span]); bits[span] = bits[span] | BIT_OF(self, block) }
    atomic {
      assert(!closed[span]);
      was_queued = queued[span];
      inside[span]--;
      queued[span] = true;
      block++;
      if
      :: was_queued -> goto linked
      :: else
      fi
    }
    do
      /* nobody else writes the link of a span that this thread is about to link */
    :: atomic { old = head; next[span] = old }
      if
      :: atomic { head == old -> assert(!closed[span]); head = span; break }
      :: head != old
      fi
    od;
linked:
    skip
  :: atomic { block == BLOCKS -> break }
  od;
  atomic { span = 0; old = 0; was_queued = false; finished++ }
}

/* The owner gives an empty span back when nobody is in it and nobody will come. */
inline try_close() {
  d_step {
    if
#ifdef NO_COUNT
    :: out[span] == 0 && !queued[span] -> closed[span] = true
#else
    :: out[span] == 0 && inside[span] == 0 && !queued[span] -> closed[span] = true
#endif
    :: else
    fi
  }
}

inline take_bits() {
  d_step {
    taken = bits[span];
    bits[span] = 0;
    assert((taken & home) == 0);
    home = home | taken;
    out[span] = out[span] & ~taken
  }
}

/* Moves on to the next span of the list. Nobody writes the link of a span that is queued, so it may
 * be read together with the step before. */
inline next_span() {
  span = list;
  if
  :: span != NONE -> list = next[span]
  :: else
  fi
}

inline withdraw_and_take() {
#ifdef LATE_CLEAR
  take_bits();
  queued[span] = false
#elif defined(PLAIN_STORE)
  buffered[span] = true;
  /* a look, and only if it finds something the locked exchange, before which the store lands */
  if
  :: bits[span] == 0
  :: bits[span] != 0 ->
    d_step { if :: buffered[span] -> queued[span] = false; buffered[span] = false :: else fi }
    take_bits()
  fi
#else
  queued[span] = false;
  take_bits()
#endif
}

inline collect() {
#ifdef LATE_NEXT
  atomic { list = head; head = NONE }
  do
  :: atomic { list == NONE -> break }
  :: else -> span = list; withdraw_and_take(); list = next[span]; try_close()
  od
#else
  atomic { list = head; head = NONE; next_span() }
  do
  :: atomic { span == NONE -> break }
  :: else -> withdraw_and_take(); atomic { try_close(); next_span() }
  od
#endif
}

proctype owner() {
  byte list, span;
  short taken;
  do
  :: head != NONE -> collect()
#ifdef PLAIN_STORE
  :: d_step { buffered[0] -> queued[0] = false; buffered[0] = false }
  :: d_step { buffered[1] -> queued[1] = false; buffered[1] = false }
  :: finished == PRODUCERS && head == NONE && !buffered[0] && !buffered[1] -> break
#else
  :: finished == PRODUCERS && head == NONE -> break
#endif
  od;
  /* Nothing waits in a queue any more: then nothing may wait beside one. */
  assert(home == ALL);
  span = 0;
  do
  :: span < SPANS -> try_close(); assert(closed[span]); span++
  :: else -> break
  od
}

init {
  atomic {
    byte p = 0, b = 0;
    do
    :: p < PRODUCERS ->
      b = 0;
      do
      :: b < BLOCKS ->
        out[SPAN_OF(p, b)] = out[SPAN_OF(p, b)] | BIT_OF(p, b);
        b++
      :: else -> break
      od;
      p++
    :: else -> break
    od;
    p = 0; b = 0;
    do
    :: p < PRODUCERS -> run producer(p); p++
    :: else -> break
    od;
    run owner()
  }
}

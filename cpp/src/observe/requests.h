// Observations that the knob `observe` asks for: one at exit, or one at each SIGUSR2.
//
// The variable HZ3_OBSERVE_FILE names the file, in which %p stands for the process id; without it
// they go to stderr. An exit writes the file anew, a signal appends a line to it. The handler
// observes on the spot rather than at the next slow event, since an idle program has none: nothing
// in an observation waits for a lock that the interrupted thread may hold.
#pragma once

namespace hz3 {

// Once, at boot, after the knobs were read.
void start_observing();

// Whether the variable of the knob is set to anything, which can be told before boot.
bool observation_is_asked_for();

// With observe=exit. In an exit handler.
void observe_at_exit();

// In the child of fork: another thread may have been observing.
void settle_requests_in_child();

}  // namespace hz3

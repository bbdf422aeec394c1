// The two ways in which a workload program ends early: each prints one line on stderr. Any thread
// may call them; none of them uses the heap.
#pragma once

namespace workload {

// The name that starts each line; set once, at the start of main.
void set_program_name(const char* name);

// The system refused something or a block lost its contents: exit status 1.
[[noreturn, gnu::format(printf, 1, 2)]] void fatal(const char* format, ...);

// The command line is wrong: exit status 2.
[[noreturn, gnu::format(printf, 1, 2)]] void usage_error(const char* format, ...);

// Writes all of it, retrying after interruptions; false when the descriptor refuses.
bool write_all(int descriptor, const char* text, unsigned long size);

}  // namespace workload

// The library's own file in memory.
//
// The kernel maps the pages around each one that is touched, so at the end of the start-up the
// whole file counts as the process's memory. Most of it is needed once or never: the tables of the
// dynamic linker, reading the knobs, observation, messages, unwinding.
#pragma once

namespace hz3::os {

// Takes those parts out of the process's memory; whoever calls a function there or reads its data
// gets them from the file again. `hot_constants`: the lowest of the constants that stay. One
// thread, at the end of the start-up.
void drop_cold_image(const void* hot_constants);

}  // namespace hz3::os

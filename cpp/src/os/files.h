// What observation asks of the operating system: files, a page that other processes read, a signal.
//
// Any thread, also in a signal handler: nothing here allocates or takes a lock, and errno stays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hz3::os {

inline constexpr int kNoFile = -1;

int open_to_read(const char* path);
// A file of 0666 less the umask; what it held is cut off or, with `append`, kept.
int open_to_write(const char* path, bool append);
void close_file(int file);

// Bytes read, 0 at the end and on failure.
std::size_t read_file(int file, char* buffer, std::size_t bytes);
// False when not everything could be written.
bool write_file(int file, const char* buffer, std::size_t bytes);

// A new file that only this user can read, of `bytes` zeros, mapped shared. An older one of that
// name, which a dead process left, is replaced. nullptr when refused, for example by a full disk:
// all its pages are there from the start, so that no later write can fail.
void* publish(const char* path, std::size_t bytes);
// The file stays, for the process that published it.
void unmap_published(void* address, std::size_t bytes);
void remove_file(const char* path);

unsigned process_id();
unsigned user_id();
// The same clock for all processes of the machine, running on while it sleeps.
std::uint64_t boot_clock_ns();

// Installs a handler for SIGUSR2 unless the program, or who started it, has done so. Interrupted
// system calls are started again.
void on_request_signal(void (*handler)(int));

}  // namespace hz3::os

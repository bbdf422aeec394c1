// Reads /proc/PID; see process_info.h.
#include "process_info.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace hz3::launcher {
namespace {

// Long enough for any line of maps: the address part and one path.
constexpr size_t kLineBytes = PATH_MAX + 256;

FILE* open_proc(pid_t pid, const char* name) {
  char path[128];
  snprintf(path, sizeof path, "/proc/%d/%s", static_cast<int>(pid), name);
  return fopen(path, "re");
}

// Whether SIGKILL waits for the thread. A process that exits as a whole sends it to all its other
// threads before its own exit stop.
bool is_dying(pid_t pid, const char* thread) {
  char name[64];
  snprintf(name, sizeof name, "task/%.20s/status", thread);
  FILE* status = open_proc(pid, name);
  if (status == nullptr) {
    return true;
  }
  bool dying = false;
  char line[kLineBytes];
  while (fgets(line, sizeof line, status) != nullptr) {
    char state = '\0';
    unsigned long long pending = 0;
    if (sscanf(line, "State: %c", &state) == 1) {
      dying = dying || state == 'Z' || state == 'X';
    } else if (sscanf(line, "SigPnd: %llx", &pending) == 1) {
      dying = dying || (pending & (1ULL << (SIGKILL - 1))) != 0;
    }
  }
  fclose(status);
  return dying;
}

bool file_gains_privileges(const char* path) {
  struct stat info;
  if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
    return false;
  }
  return (info.st_mode & (S_ISUID | S_ISGID)) != 0 ||
         getxattr(path, "security.capability", nullptr, 0) > 0;
}

}  // namespace

long read_peak_kb(pid_t pid) {
  FILE* status = open_proc(pid, "status");
  if (status == nullptr) {
    return -1;
  }
  long peak_kb = -1;
  char line[kLineBytes];
  while (peak_kb < 0 && fgets(line, sizeof line, status) != nullptr) {
    sscanf(line, "VmHWM: %ld", &peak_kb);
  }
  fclose(status);
  return peak_kb;
}

int maps_file(pid_t pid, const char* path) {
  struct stat info;
  FILE* maps = open_proc(pid, "maps");
  if (maps == nullptr || stat(path, &info) != 0) {
    if (maps != nullptr) {
      fclose(maps);
    }
    return -1;
  }
  int answer = -1;
  char line[kLineBytes];
  while (answer != 1 && fgets(line, sizeof line, maps) != nullptr) {
    answer = 0;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    unsigned long long inode = 0;
    int path_at = 0;
    if (sscanf(line, "%*s %*s %*s %x:%x %llu %n", &major_number, &minor_number, &inode, &path_at) <
            3 ||
        inode == 0) {
      continue;
    }
    line[strcspn(line, "\n")] = '\0';
    // Overlay file systems show another device and inode in maps than stat does, so a match of the
    // name counts too.
    const bool same_inode = inode == info.st_ino && major_number == major(info.st_dev) &&
                            minor_number == minor(info.st_dev);
    if (same_inode || strcmp(line + path_at, path) == 0) {
      answer = 1;
    }
  }
  fclose(maps);
  return answer;
}

bool has_living_threads(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", static_cast<int>(pid));
  DIR* threads = opendir(path);
  if (threads == nullptr) {
    return false;
  }
  bool living = false;
  while (const dirent* entry = readdir(threads)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != pid && !is_dying(pid, entry->d_name)) {
      living = true;
    }
  }
  closedir(threads);
  return living;
}

bool gains_privileges(const char* program) {
  if (strchr(program, '/') != nullptr) {
    return file_gains_privileges(program);
  }
  const char* folders = getenv("PATH");
  while (folders != nullptr && *folders != '\0') {
    const size_t length = strcspn(folders, ":");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/%s", static_cast<int>(length), folders, program);
    if (access(path, X_OK) == 0) {
      return file_gains_privileges(path);
    }
    folders += length + (folders[length] == ':' ? 1 : 0);
  }
  return false;
}

}  // namespace hz3::launcher

/* The state file: mapped once for each process, locked by flock(2), which the kernel releases when a holder dies. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "luna.h"

struct state *state;
static int state_file = -1;
static char state_path[1024];
static pthread_mutex_t threads = PTHREAD_MUTEX_INITIALIZER; /* flock excludes processes, this the threads of one */

/* A second C_Initialize may come with another configuration. The old mapping stays: a thread may still look at it. */
int state_open(const char *path) {
  if (state != NULL && strcmp(path, state_path) == 0) return 0;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return -1;
  struct stat found;
  if (fstat(file, &found) != 0 || found.st_size < (off_t)sizeof(struct state)) return close(file), -1;
  void *mapped = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) return close(file), -1;
  struct state *seen = mapped;
  if (seen->magic != STATE_MAGIC || seen->version != STATE_VERSION) {
    munmap(mapped, sizeof(struct state));
    return close(file), -1;
  }
  if (state_file >= 0) close(state_file);
  state_file = file;
  strncpy(state_path, path, sizeof state_path - 1);
  state = seen;
  return 0;
}

void state_lock(void) {
  pthread_mutex_lock(&threads);
  while (flock(state_file, LOCK_EX) != 0 && errno == EINTR) continue;
  journal_repair();
}

void state_unlock(void) {
  flock(state_file, LOCK_UN);
  pthread_mutex_unlock(&threads);
}

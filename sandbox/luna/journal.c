/*
 * SoftHSM rewrites token.object at every login, in place: a process killed at that moment leaves a token that no one
 * can open again. A Luna does not lose its partition to a killed client, so a copy is kept for as long as that lasts,
 * and the next one to take the lock puts it back.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>
#include "luna.h"

static int token_object(char *path, size_t size) {
  char pattern[1100];
  glob_t found;
  snprintf(pattern, sizeof pattern, "%s/*/token.object", conf.token_folder);
  if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0) return -1; /* blank: nothing to lose yet */
  snprintf(path, size, "%s", found.gl_pathv[0]);
  globfree(&found);
  return 0;
}

/* By way of a rename: a reader without the lock sees the old file or the new one. */
static int copy(const char *from, const char *to) {
  char text[16384], unfinished[1300];
  snprintf(unfinished, sizeof unfinished, "%s.new", to);
  int in = open(from, O_RDONLY | O_CLOEXEC);
  if (in < 0) return -1;
  ssize_t length = read(in, text, sizeof text);
  close(in);
  if (length <= 0 || length == (ssize_t)sizeof text) return -1;
  int out = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (out < 0) return -1;
  ssize_t written = write(out, text, (size_t)length);
  if (close(out) != 0 || written != length) return -1;
  return rename(unfinished, to);
}

static void copy_path(char *path, size_t size) { snprintf(path, size, "%s.token", conf.state); }

/* All three need the lock. */
void journal_begin(void) {
  char object[1200], kept[1200];
  copy_path(kept, sizeof kept);
  int ready = token_object(object, sizeof object) == 0 && copy(object, kept) == 0;
  __atomic_store_n(&state->token_at_risk, ready ? 1u : 0u, __ATOMIC_SEQ_CST);
}

void journal_end(void) { __atomic_store_n(&state->token_at_risk, 0u, __ATOMIC_SEQ_CST); }

void journal_repair(void) {
  char object[1200], kept[1200];
  if (__atomic_load_n(&state->token_at_risk, __ATOMIC_SEQ_CST) == 0) return;
  copy_path(kept, sizeof kept);
  if (token_object(object, sizeof object) == 0 && copy(kept, object) == 0) journal_end();
}

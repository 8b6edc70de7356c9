/*
 * Faults on demand: "<state file>.faults" holds rules "function=action", ended by ";", for example
 *   C_Login=0xA4*1; C_Sign=lat:2000; C_GetSlotList=hang; *=lat:50
 * Actions: a CKR code, lat:<microseconds>, hang, crash, exit, print. "*N" ends a rule after N strikes, counted over
 * all processes. Without rules it costs one load of a mapped word for each call.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "luna.h"

struct rule {
  int fn; /* -1: every function */
  enum { CODE, DELAY, HANG, CRASH, EXIT, PRINT } action;
  unsigned long value;
  uint32_t strikes; /* 0: for good */
};
struct rules { uint32_t version; int count; struct rule rule[FAULT_LIMIT]; };

#define AS_NAME(kind, name, params, args) #name,
static const char *const names[] = { EVERY_FUNCTION(AS_NAME) };
static struct rules none;
static struct rules *current = &none;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static int number_of(const char *name) {
  for (int fn = 0; fn < FUNCTION_COUNT; fn++) if (strcmp(names[fn], name) == 0) return fn;
  return -1;
}

static int parse(const char *text, struct rule *rule) {
  char name[40], action[40];
  if (sscanf(text, " %39[A-Za-z_*] = %39[^; \r\n]", name, action) != 2) return 0;
  rule->fn = number_of(name);
  if (rule->fn < 0 && strcmp(name, "*") != 0) return 0;
  char *times = strchr(action, '*');
  rule->strikes = times == NULL ? 0 : (uint32_t)strtoul(times + 1, NULL, 10);
  if (times != NULL) *times = '\0';
  rule->value = strtoul(strncmp(action, "lat:", 4) == 0 ? action + 4 : action, NULL, 0);
  rule->action = strncmp(action, "lat:", 4) == 0 ? DELAY : strcmp(action, "hang") == 0 ? HANG
    : strcmp(action, "crash") == 0 ? CRASH : strcmp(action, "exit") == 0 ? EXIT
    : strcmp(action, "print") == 0 ? PRINT : CODE;
  return rule->action != CODE || rule->value != CKR_OK;
}

/* A rule set is never changed or freed once seen: other threads read it without a lock. */
static struct rules *load(uint32_t version) {
  pthread_mutex_lock(&loading);
  struct rules *made = current->version == version ? current : calloc(1, sizeof *made);
  if (made != NULL && made != current) {
    char path[1100], text[4096];
    snprintf(path, sizeof path, "%s.faults", conf.state);
    FILE *file = fopen(path, "re");
    size_t length = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL) fclose(file);
    text[length] = '\0';
    char *rest = NULL;
    for (char *one = strtok_r(text, ";", &rest); one != NULL && made->count < FAULT_LIMIT; one = strtok_r(NULL, ";", &rest))
      if (parse(one, &made->rule[made->count])) made->count++;
    made->version = version;
    __atomic_store_n(&current, made, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&loading);
  return made == NULL ? &none : made;
}

static void rest_for(unsigned long microseconds) {
  struct timespec left = { (time_t)(microseconds / 1000000), (long)(microseconds % 1000000) * 1000 };
  while (nanosleep(&left, &left) != 0) continue;
}

CK_RV fault_at(enum function_number fn) {
  uint32_t version = __atomic_load_n(&state->fault_version, __ATOMIC_ACQUIRE);
  struct rules *rules = __atomic_load_n(&current, __ATOMIC_ACQUIRE);
  if (rules->version != version) rules = load(version);
  for (int i = 0; i < rules->count; i++) {
    struct rule *rule = &rules->rule[i];
    if (rule->fn >= 0 && rule->fn != (int)fn) continue;
    if (rule->strikes > 0 && __atomic_fetch_add(&state->fired[i], 1, __ATOMIC_RELAXED) >= rule->strikes) continue;
    switch (rule->action) {
      case CODE: return rule->value;
      case DELAY: rest_for(rule->value); break;
      case HANG: for (;;) pause();
      case CRASH: raise(SIGSEGV); break;
      case EXIT: _exit(0);
      case PRINT: printf("{\"ok\":true} %s\n", names[fn]); fflush(stdout); break;
    }
  }
  return CKR_OK;
}

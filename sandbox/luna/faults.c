/*
 * Faults on demand: "<state file>.faults" holds rules "function=action", ended by ";", for example
 *   C_Login=0xA4*1; C_Sign=lat:2000; C_GetSlotList=hang; *=lat:50
 * Actions: a CKR code, lat:<microseconds>, hang, freeze, crash, exit, print, environment (what getenv(3) would find, written to
 * "<state file>.environment"). "*N" ends a rule after N strikes, counted over all processes.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "luna.h"

#define AS_NAME(kind, name, params, args) #name,
static const char *const names[] = { EVERY_FUNCTION(AS_NAME) };

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
    : strcmp(action, "freeze") == 0 ? FREEZE
    : strcmp(action, "crash") == 0 ? CRASH : strcmp(action, "exit") == 0 ? EXIT
    : strcmp(action, "print") == 0 ? PRINT : strcmp(action, "environment") == 0 ? ENVIRONMENT : CODE;
  return rule->action != CODE || rule->value != CKR_OK;
}

int faults_read(struct rule *rules) {
  char path[1100], text[4096];
  snprintf(path, sizeof path, "%s.faults", conf.state);
  FILE *file = fopen(path, "re");
  size_t length = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
  if (file != NULL) fclose(file);
  text[length] = '\0';
  int count = 0;
  char *rest = NULL;
  for (char *one = strtok_r(text, ";", &rest); one != NULL && count < FAULT_LIMIT; one = strtok_r(NULL, ";", &rest))
    if (parse(one, &rules[count])) count++;
  return count;
}

static void rest_for(unsigned long microseconds) {
  struct timespec left = { (time_t)(microseconds / 1000000), (long)(microseconds % 1000000) * 1000 };
  while (nanosleep(&left, &left) != 0) continue;
}

extern char **environ;

static void tell_environment(void) {
  char path[1100];
  snprintf(path, sizeof path, "%s.environment", conf.state);
  FILE *file = fopen(path, "we");
  if (file == NULL) return;
  for (char **one = environ; *one != NULL; one++) fprintf(file, "%s\n", *one);
  fclose(file);
}

CK_RV fault_at(const struct control *now, enum function_number fn) {
  for (int i = 0; i < now->rule_count; i++) {
    const struct rule *rule = &now->rule[i];
    if (rule->fn >= 0 && rule->fn != (int)fn) continue;
    if (rule->strikes > 0 && __atomic_fetch_add(&state->fired[i], 1, __ATOMIC_RELAXED) >= rule->strikes) continue;
    switch (rule->action) {
      case CODE: return rule->value;
      case DELAY: rest_for(rule->value); break;
      case HANG: for (;;) pause();
      case FREEZE: /* until rules or moods change: a network that comes back, unlike HANG */
        while (__atomic_load_n(&state->control_version, __ATOMIC_ACQUIRE) == now->version) rest_for(1000);
        break;
      case CRASH: raise(SIGSEGV); break;
      case EXIT: _exit(0);
      case ENVIRONMENT: tell_environment(); break;
      case PRINT: printf("{\"ok\":true} %s\n", names[fn]); fflush(stdout); break;
    }
  }
  return CKR_OK;
}

/* Reads the section StandIn of Chrystoki.conf: "Section = { Key = value; Key = value; }". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "luna.h"

static char *trim(char *text) {
  text += strspn(text, " \t\r\n");
  size_t length = strlen(text);
  while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL) text[--length] = '\0';
  return text;
}

static void keep(struct conf *into, const char *key, const char *value) {
  if (strcmp(key, "SoftHsmLibrary") == 0) snprintf(into->soft_hsm_library, sizeof into->soft_hsm_library, "%s", value);
  if (strcmp(key, "SoftHsmConf") == 0) snprintf(into->soft_hsm_conf, sizeof into->soft_hsm_conf, "%s", value);
  if (strcmp(key, "TokenFolder") == 0) snprintf(into->token_folder, sizeof into->token_folder, "%s", value);
  if (strcmp(key, "State") == 0) snprintf(into->state, sizeof into->state, "%s", value);
  if (strcmp(key, "Serial") == 0) snprintf(into->serial, sizeof into->serial, "%s", value);
}

static char *slurp(const char *path) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return NULL;
  char *text = calloc(1, 65536);
  if (text != NULL) text[fread(text, 1, 65535, file)] = '\0';
  fclose(file);
  return text;
}

/* As the real client: the folder in ChrystokiConfigurationPath, else /etc. */
int conf_read(struct conf *into) {
  const char *folder = getenv("ChrystokiConfigurationPath");
  char path[1200];
  snprintf(path, sizeof path, "%s/Chrystoki.conf", folder != NULL && folder[0] != '\0' ? folder : "/etc");
  char *text = slurp(path);
  if (text == NULL) return -1;
  memset(into, 0, sizeof *into);
  char *sections = NULL;
  for (char *section = strtok_r(text, "}", &sections); section != NULL; section = strtok_r(NULL, "}", &sections)) {
    char *body = strchr(section, '{');
    char *equals = strchr(section, '=');
    if (body == NULL || equals == NULL || equals > body) continue;
    *equals = '\0';
    if (strcmp(trim(section), "StandIn") != 0) continue;
    char *pairs = NULL;
    for (char *pair = strtok_r(body + 1, ";", &pairs); pair != NULL; pair = strtok_r(NULL, ";", &pairs)) {
      char *value = strchr(pair, '=');
      if (value == NULL) continue;
      *value = '\0';
      keep(into, trim(pair), trim(value + 1));
    }
  }
  free(text);
  const char *needed[] = { into->soft_hsm_library, into->soft_hsm_conf, into->token_folder, into->state, into->serial };
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) if (needed[i][0] == '\0') return -1;
  return 0;
}

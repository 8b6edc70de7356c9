/* What the files of the stand-in partition share. */
#ifndef LUNA_H
#define LUNA_H

#include <stdint.h>
#include "functions.h"

#define FAULT_LIMIT 32

/*
 * The partition's memory, mapped by every process that loads the library and also read and written by state.ts:
 * 64 words of 32 bits in the machine's order. A word is changed whole, so a process killed at any moment leaves
 * a state that can be read; what must go together is done under state_lock().
 */
struct state {
  uint32_t magic, version;
  uint32_t slot;          /* the number under which the partition shows itself */
  uint32_t lock_at;       /* failures that lock the Crypto Officer (partition policy 20) */
  uint32_t logins;        /* calls of C_Login for CKU_USER, refused ones included */
  uint32_t failures;      /* wrong user PINs since the last right one */
  uint32_t rejections;    /* wrong user PINs ever */
  uint32_t so_logins, so_failures;
  uint32_t initial_pin;   /* 1: set by the Partition SO and not yet changed */
  uint32_t fault_version; /* changes whenever the fault file is written */
  uint32_t token_at_risk; /* 1: SoftHSM is rewriting token.object, and a copy is beside the state file */
  uint32_t reserved[4];
  uint32_t fired[FAULT_LIMIT]; /* how often each fault rule has struck, over all processes */
  uint32_t unused[16];
};
#define STATE_MAGIC 0x414E554Cu /* "LUNA" */
#define STATE_VERSION 1u
#define SO_LOCK_AT 10u
#define SHORTEST_PIN 7UL /* characters, as Luna 7 has it */

/* Section StandIn of Chrystoki.conf. */
struct conf {
  char soft_hsm_library[1024], soft_hsm_conf[1024], token_folder[1024], state[1024], serial[17];
};

extern struct state *state;      /* NULL until C_Initialize has found its configuration */
extern CK_FUNCTION_LIST *soft;   /* SoftHSM's functions; NULL until then */
extern CK_SLOT_ID soft_slot;     /* SoftHSM's number of the one partition */
extern struct conf conf;

int conf_read(struct conf *into);          /* 0, or -1 when Chrystoki.conf is missing or incomplete */
int state_open(const char *path);          /* maps the state file and remembers the path of the fault file */
void state_lock(void);                     /* one holder over all threads and processes */
void state_unlock(void);
void journal_begin(void);                  /* around every call that makes SoftHSM rewrite token.object */
void journal_end(void);
void journal_repair(void);                 /* by state_lock(), when a holder was killed in between */
CK_RV role_ready(CK_SESSION_HANDLE s);      /* CKR_PIN_EXPIRED while the initial PIN is unchanged */
CK_RV fault_at(enum function_number fn);   /* CKR_OK to go on; may also delay, print, hang or end the process */

#define AS_OWN(kind, name, params, args) DECLARE_##kind(name, params)
#define DECLARE_OWN(name, params) CK_RV own_##name params;
#define DECLARE_ROLE(name, params)
#define DECLARE_PASS(name, params)
EVERY_FUNCTION(AS_OWN)

#endif

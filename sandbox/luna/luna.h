/* What the files of the stand-in partition share. */
#ifndef LUNA_H
#define LUNA_H

#include <stdint.h>
#include "functions.h"

#define FAULT_LIMIT 32
#define WITHHELD_LIMIT 32
#define PIN_LIMIT 64

/*
 * The partition's memory, mapped by every process that loads the library and also read and written by words.ts:
 * words of 32 bits in the machine's order. A word is changed whole, so a process killed at any moment leaves
 * a state that can be read; what must go together is done under state_lock(). All zeros is a partition without moods.
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
  uint32_t control_version; /* changes after every mood, rule or list: what a process has read is old then */
  uint32_t token_at_risk; /* 1: SoftHSM is rewriting token.object, and a copy is beside the state file */
  uint32_t absent;        /* 1: the token is gone */
  uint32_t losses;        /* how often it went; a process that lived through one has lost its sessions for good */
  uint32_t gcm;           /* enum gcm */
  uint32_t max_sessions;  /* of one process; 0: any number */
  uint32_t fired[FAULT_LIMIT]; /* how often each fault rule has struck, over all processes */
  uint32_t vendor_wrap, vendor_rsa, refuse_private_wrap;
  uint32_t slots;         /* how many are listed; 0 as 1 */
  uint32_t others;        /* enum others */
  uint32_t swapped;       /* 1: with another serial */
  uint32_t pin_flags;     /* enum pin_flags */
  uint32_t uninitialised, no_crypto_officer;
  uint32_t free_bytes;
  uint32_t pin_key[4];    /* of the hash under which PINs are counted */
  uint32_t right_pin[2];  /* hash of the Crypto Officer's PIN, as C_InitPIN and C_SetPIN left it; zeros: not known */
  char label[32];         /* shown in place of its own; "" = its own */
  uint32_t unused_too[8];
  struct { uint32_t mac[2], logins, rejections; } pins[PIN_LIMIT]; /* C_Login calls for CKU_USER by PIN */
};
_Static_assert(sizeof(struct state) == 336 * sizeof(uint32_t), "words.ts counts the same words");
#define STATE_MAGIC 0x414E554Cu /* "LUNA" */
#define STATE_VERSION 1u
#define SO_LOCK_AT 10u
#define SHORTEST_PIN 7UL /* characters, as Luna 7 has it */
#define SLOT_LIMIT 8u

enum gcm { CALLER_IV, TOKEN_IV, TOKEN_IV_PARAMETER };
enum others { PARTITIONS, SAME_LABEL, HA_GROUP, HA_ONLY };
enum pin_flags { COUNTED, NONE, COUNT_LOW, FINAL_TRY, LOCKED };

struct rule {
  int fn; /* -1: every function */
  enum { CODE, DELAY, HANG, FREEZE, CRASH, EXIT, PRINT, ENVIRONMENT } action;
  unsigned long value;
  uint32_t strikes; /* 0: for good */
};

/* What this process has read of moods, rules and lists: never changed once published, so it is read without a lock. */
struct control {
  uint32_t version;
  int quiet; /* nothing below: a call costs one load of control_version and no more */
  int initial_pin, absent, lost, vendor_wrap, vendor_rsa, refuse_private_wrap, rule_count, withheld_count;
  enum gcm gcm;
  struct rule rule[FAULT_LIMIT];
  CK_ULONG withheld[WITHHELD_LIMIT];
};

/* Section StandIn of Chrystoki.conf. */
struct conf {
  char soft_hsm_library[1024], soft_hsm_conf[1024], token_folder[1024], state[1024], serial[17];
};

extern struct state *state;      /* NULL until C_Initialize has found its configuration */
extern CK_FUNCTION_LIST *soft;   /* SoftHSM's functions; NULL until then */
extern CK_SLOT_ID soft_slot;     /* SoftHSM's number of the one partition */
extern struct conf conf;
extern const struct control *control;

int conf_read(struct conf *into);          /* 0, or -1 when Chrystoki.conf is missing or incomplete */
int state_open(const char *path);          /* maps the state file and remembers the path of the fault file */
void state_lock(void);                     /* one holder over all threads and processes */
void state_unlock(void);
void journal_begin(void);                  /* around every call that makes SoftHSM rewrite token.object */
void journal_end(void);
void journal_repair(void);                 /* by state_lock(), when a holder was killed in between */
void control_begin(void);                  /* by C_Initialize: from here on this process notices a loss */
void control_changed(void);                /* after a mood was changed in here */
const struct control *control_load(void);
int faults_read(struct rule *rules);       /* the rules in "<state file>.faults", at most FAULT_LIMIT */
CK_RV fault_at(const struct control *now, enum function_number fn); /* may also delay, print, hang or end the process */
CK_RV trouble_at(const struct control *now, enum function_number fn); /* a fault, or the token is gone; CKR_OK to go on */
CK_RV role_ready(const struct control *now, CK_SESSION_HANDLE s); /* CKR_PIN_EXPIRED while the initial PIN is unchanged */
CK_RV mechanism_for(const struct control *now, void **mechanism, CK_MECHANISM *real); /* as SoftHSM knows it */
void gcm_forget(CK_SESSION_HANDLE s);      /* what its session has begun */
void gcm_forget_all(void);
void sessions_forget(void);
CK_ULONG sessions_open(void);              /* of this process */
int slot_known(CK_SLOT_ID slot);

static inline const struct control *control_now(void) {
  const struct control *now = __atomic_load_n(&control, __ATOMIC_ACQUIRE);
  return now->version == __atomic_load_n(&state->control_version, __ATOMIC_ACQUIRE) ? now : control_load();
}

#define AS_OWN(kind, name, params, args) DECLARE_##kind(name, params)
#define DECLARE_OWN(name, params) CK_RV own_##name params;
#define DECLARE_MOOD(name, params) CK_RV own_##name params;
#define DECLARE_MECH(name, params)
#define DECLARE_ROLE(name, params)
#define DECLARE_PASS(name, params)
EVERY_FUNCTION(AS_OWN)

#endif

/*
 * AES-GCM as a FIPS partition does it: the token makes the IV, 16 bytes, and puts it behind ciphertext and tag; a caller's
 * IV is refused. To decrypt it takes the IV from there, or (TOKEN_IV_PARAMETER) wants it as the parameter.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "luna.h"

#define IV_BYTES 16UL

struct begun {
  CK_SESSION_HANDLE session;
  enum { IDLE, ENCRYPTS, WILL_DECRYPT, DECRYPTS } what;
  CK_BYTE iv[IV_BYTES];
  /* of WILL_DECRYPT: the IV comes with the data only, so SoftHSM is not asked before */
  CK_OBJECT_HANDLE key;
  CK_GCM_PARAMS params;
  struct begun *next;
};
static struct begun *all;
static pthread_mutex_t finding = PTHREAD_MUTEX_INITIALIZER;

/* A session belongs to one thread at a time, so only the list itself needs the lock. */
static struct begun *find(CK_SESSION_HANDLE s, int make) {
  pthread_mutex_lock(&finding);
  struct begun *one = all;
  while (one != NULL && one->session != s) one = one->next;
  if (one == NULL && make && (one = calloc(1, sizeof *one)) != NULL) one->session = s, one->next = all, all = one;
  pthread_mutex_unlock(&finding);
  return one;
}

static void end(struct begun *one) {
  free(one->params.pAAD);
  memset(&one->params, 0, sizeof one->params);
  one->what = IDLE;
}

void gcm_forget(CK_SESSION_HANDLE s) {
  struct begun *one = find(s, 0);
  if (one != NULL) end(one);
}

void gcm_forget_all(void) {
  pthread_mutex_lock(&finding);
  for (struct begun *one = all; one != NULL; one = one->next) end(one);
  pthread_mutex_unlock(&finding);
}

/* The parameters when this mood is about them; NULL: SoftHSM's business. */
static CK_GCM_PARAMS *gcm_params(const struct control *now, const CK_MECHANISM *mechanism) {
  int ours = now->gcm != CALLER_IV && mechanism->mechanism == CKM_AES_GCM
    && mechanism->pParameter != NULL && mechanism->ulParameterLen == sizeof(CK_GCM_PARAMS);
  return ours ? mechanism->pParameter : NULL;
}

static CK_MECHANISM with_iv(CK_GCM_PARAMS *params, CK_BYTE *iv) {
  params->pIv = iv, params->ulIvLen = IV_BYTES, params->ulIvBits = IV_BYTES * 8;
  return (CK_MECHANISM){ CKM_AES_GCM, params, sizeof *params };
}

CK_RV own_C_EncryptInit(CK_SESSION_HANDLE s, void *mechanism, CK_OBJECT_HANDLE key) {
  const struct control *now = control_now();
  CK_MECHANISM real;
  CK_RV rv = mechanism_for(now, &mechanism, &real);
  if (rv != CKR_OK) return rv;
  gcm_forget(s);
  CK_GCM_PARAMS *asked = gcm_params(now, &real);
  if (asked == NULL) return soft->C_EncryptInit(s, mechanism, key);
  if (asked->ulIvLen > 0) return CKR_MECHANISM_PARAM_INVALID;
  struct begun *one = find(s, 1);
  if (one == NULL) return CKR_GENERAL_ERROR;
  if ((rv = soft->C_GenerateRandom(s, one->iv, IV_BYTES)) != CKR_OK) return rv;
  CK_GCM_PARAMS given = *asked;
  CK_MECHANISM ours = with_iv(&given, one->iv);
  rv = soft->C_EncryptInit(s, &ours, key);
  if (rv == CKR_OK) one->what = ENCRYPTS;
  return rv;
}

CK_RV own_C_Encrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG inLen, CK_BYTE *out, CK_ULONG *outLen) {
  struct begun *one = find(s, 0);
  if (one == NULL || one->what != ENCRYPTS) return soft->C_Encrypt(s, in, inLen, out, outLen);
  CK_ULONG room = out != NULL && *outLen > IV_BYTES ? *outLen - IV_BYTES : 0;
  CK_RV rv = soft->C_Encrypt(s, in, inLen, out, &room);
  if (rv == CKR_OK && out != NULL) memcpy(out + room, one->iv, IV_BYTES);
  *outLen = room + IV_BYTES;
  if (out != NULL && rv != CKR_BUFFER_TOO_SMALL) end(one);
  return rv;
}

CK_RV own_C_DecryptInit(CK_SESSION_HANDLE s, void *mechanism, CK_OBJECT_HANDLE key) {
  const struct control *now = control_now();
  CK_MECHANISM real;
  CK_RV rv = mechanism_for(now, &mechanism, &real);
  if (rv != CKR_OK) return rv;
  gcm_forget(s);
  CK_GCM_PARAMS *asked = gcm_params(now, &real);
  if (asked == NULL) return soft->C_DecryptInit(s, mechanism, key);
  if ((asked->ulIvLen > 0) != (now->gcm == TOKEN_IV_PARAMETER)) return CKR_MECHANISM_PARAM_INVALID;
  if (asked->ulIvLen > 0) return soft->C_DecryptInit(s, mechanism, key);
  struct begun *one = find(s, 1);
  CK_BYTE *aad = malloc(asked->ulAADLen + 1);
  if (one == NULL || aad == NULL) return free(aad), CKR_GENERAL_ERROR;
  if (asked->ulAADLen > 0) memcpy(aad, asked->pAAD, asked->ulAADLen);
  one->params = *asked;
  one->params.pAAD = aad;
  one->key = key;
  one->what = WILL_DECRYPT;
  return CKR_OK;
}

CK_RV own_C_Decrypt(CK_SESSION_HANDLE s, CK_BYTE *in, CK_ULONG inLen, CK_BYTE *out, CK_ULONG *outLen) {
  struct begun *one = find(s, 0);
  if (one == NULL || one->what < WILL_DECRYPT) return soft->C_Decrypt(s, in, inLen, out, outLen);
  CK_RV rv = inLen <= IV_BYTES ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_OK;
  if (rv == CKR_OK && one->what == WILL_DECRYPT) {
    memcpy(one->iv, in + inLen - IV_BYTES, IV_BYTES);
    CK_MECHANISM ours = with_iv(&one->params, one->iv);
    rv = soft->C_DecryptInit(s, &ours, one->key);
    if (rv == CKR_OK) one->what = DECRYPTS;
  }
  if (rv == CKR_OK) rv = soft->C_Decrypt(s, in, inLen - IV_BYTES, out, outLen);
  if (!(rv == CKR_OK && out == NULL) && rv != CKR_BUFFER_TOO_SMALL) end(one);
  return rv;
}

/*
 * Every function of CK_FUNCTION_LIST, in the standard's order, as one table: F(kind, name, parameters, arguments).
 * OWN  answered by this library (own_<name>), which asks SoftHSM where it must
 * PASS handed to SoftHSM as it is
 * ROLE needs the Crypto Officer: refused with CKR_PIN_EXPIRED while the initial password is unchanged
 * MECH as ROLE, and its mechanism may be withheld or have Luna's number
 * MOOD as ROLE, and answered by own_<name> while the partition has any mood
 */
#ifndef LUNA_FUNCTIONS_H
#define LUNA_FUNCTIONS_H

#include "cryptoki.h"

struct CK_FUNCTION_LIST;
#define S CK_SESSION_HANDLE s
#define IN(p) CK_BYTE *p, CK_ULONG p##Len
#define OUT(p) CK_BYTE *p, CK_ULONG *p##Len
#define TEMPLATE(t) void *t, CK_ULONG t##Count

#define EVERY_FUNCTION(F) \
  F(OWN, C_Initialize, (void *args), (args)) \
  F(OWN, C_Finalize, (void *reserved), (reserved)) \
  F(OWN, C_GetInfo, (CK_INFO *info), (info)) \
  F(OWN, C_GetFunctionList, (struct CK_FUNCTION_LIST **list), (list)) \
  F(OWN, C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count), (present, slots, count)) \
  F(OWN, C_GetSlotInfo, (CK_SLOT_ID slot, CK_SLOT_INFO *info), (slot, info)) \
  F(OWN, C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO *info), (slot, info)) \
  F(OWN, C_GetMechanismList, (CK_SLOT_ID slot, CK_ULONG *list, CK_ULONG *count), (slot, list, count)) \
  F(OWN, C_GetMechanismInfo, (CK_SLOT_ID slot, CK_ULONG type, void *info), (slot, type, info)) \
  F(OWN, C_InitToken, (CK_SLOT_ID slot, IN(pin), CK_UTF8CHAR *label), (slot, pin, pinLen, label)) \
  F(OWN, C_InitPIN, (S, IN(pin)), (s, pin, pinLen)) \
  F(OWN, C_SetPIN, (S, IN(old), IN(pin)), (s, old, oldLen, pin, pinLen)) \
  F(OWN, C_OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *app, void *notify, CK_SESSION_HANDLE *s), \
    (slot, flags, app, notify, s)) \
  F(OWN, C_CloseSession, (S), (s)) \
  F(OWN, C_CloseAllSessions, (CK_SLOT_ID slot), (slot)) \
  F(OWN, C_GetSessionInfo, (S, CK_SESSION_INFO *info), (s, info)) \
  F(PASS, C_GetOperationState, (S, OUT(state)), (s, state, stateLen)) \
  F(PASS, C_SetOperationState, (S, IN(state), CK_OBJECT_HANDLE cipher, CK_OBJECT_HANDLE auth), \
    (s, state, stateLen, cipher, auth)) \
  F(OWN, C_Login, (S, CK_USER_TYPE user, IN(pin)), (s, user, pin, pinLen)) \
  F(PASS, C_Logout, (S), (s)) \
  F(ROLE, C_CreateObject, (S, TEMPLATE(t), CK_OBJECT_HANDLE *made), (s, t, tCount, made)) \
  F(ROLE, C_CopyObject, (S, CK_OBJECT_HANDLE from, TEMPLATE(t), CK_OBJECT_HANDLE *made), (s, from, t, tCount, made)) \
  F(ROLE, C_DestroyObject, (S, CK_OBJECT_HANDLE object), (s, object)) \
  F(ROLE, C_GetObjectSize, (S, CK_OBJECT_HANDLE object, CK_ULONG *size), (s, object, size)) \
  F(ROLE, C_GetAttributeValue, (S, CK_OBJECT_HANDLE object, TEMPLATE(t)), (s, object, t, tCount)) \
  F(ROLE, C_SetAttributeValue, (S, CK_OBJECT_HANDLE object, TEMPLATE(t)), (s, object, t, tCount)) \
  F(ROLE, C_FindObjectsInit, (S, TEMPLATE(t)), (s, t, tCount)) \
  F(ROLE, C_FindObjects, (S, CK_OBJECT_HANDLE *found, CK_ULONG max, CK_ULONG *count), (s, found, max, count)) \
  F(ROLE, C_FindObjectsFinal, (S), (s)) \
  F(MOOD, C_EncryptInit, (S, void *mechanism, CK_OBJECT_HANDLE key), (s, mechanism, key)) \
  F(MOOD, C_Encrypt, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_EncryptUpdate, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_EncryptFinal, (S, OUT(out)), (s, out, outLen)) \
  F(MOOD, C_DecryptInit, (S, void *mechanism, CK_OBJECT_HANDLE key), (s, mechanism, key)) \
  F(MOOD, C_Decrypt, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_DecryptUpdate, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_DecryptFinal, (S, OUT(out)), (s, out, outLen)) \
  F(PASS, C_DigestInit, (S, void *mechanism), (s, mechanism)) \
  F(PASS, C_Digest, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(PASS, C_DigestUpdate, (S, IN(in)), (s, in, inLen)) \
  F(ROLE, C_DigestKey, (S, CK_OBJECT_HANDLE key), (s, key)) \
  F(PASS, C_DigestFinal, (S, OUT(out)), (s, out, outLen)) \
  F(MECH, C_SignInit, (S, void *mechanism, CK_OBJECT_HANDLE key), (s, mechanism, key)) \
  F(ROLE, C_Sign, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_SignUpdate, (S, IN(in)), (s, in, inLen)) \
  F(ROLE, C_SignFinal, (S, OUT(out)), (s, out, outLen)) \
  F(MECH, C_SignRecoverInit, (S, void *mechanism, CK_OBJECT_HANDLE key), (s, mechanism, key)) \
  F(ROLE, C_SignRecover, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(MECH, C_VerifyInit, (S, void *mechanism, CK_OBJECT_HANDLE key), (s, mechanism, key)) \
  F(ROLE, C_Verify, (S, IN(in), IN(sig)), (s, in, inLen, sig, sigLen)) \
  F(ROLE, C_VerifyUpdate, (S, IN(in)), (s, in, inLen)) \
  F(ROLE, C_VerifyFinal, (S, IN(sig)), (s, sig, sigLen)) \
  F(MECH, C_VerifyRecoverInit, (S, void *mechanism, CK_OBJECT_HANDLE key), (s, mechanism, key)) \
  F(ROLE, C_VerifyRecover, (S, IN(sig), OUT(out)), (s, sig, sigLen, out, outLen)) \
  F(ROLE, C_DigestEncryptUpdate, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_DecryptDigestUpdate, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_SignEncryptUpdate, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(ROLE, C_DecryptVerifyUpdate, (S, IN(in), OUT(out)), (s, in, inLen, out, outLen)) \
  F(MECH, C_GenerateKey, (S, void *mechanism, TEMPLATE(t), CK_OBJECT_HANDLE *made), (s, mechanism, t, tCount, made)) \
  F(MECH, C_GenerateKeyPair, \
    (S, void *mechanism, TEMPLATE(t), TEMPLATE(u), CK_OBJECT_HANDLE *publicKey, CK_OBJECT_HANDLE *privateKey), \
    (s, mechanism, t, tCount, u, uCount, publicKey, privateKey)) \
  F(MOOD, C_WrapKey, (S, void *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, OUT(out)), \
    (s, mechanism, wrapping, key, out, outLen)) \
  F(MECH, C_UnwrapKey, \
    (S, void *mechanism, CK_OBJECT_HANDLE wrapping, IN(in), TEMPLATE(t), CK_OBJECT_HANDLE *made), \
    (s, mechanism, wrapping, in, inLen, t, tCount, made)) \
  F(MECH, C_DeriveKey, (S, void *mechanism, CK_OBJECT_HANDLE base, TEMPLATE(t), CK_OBJECT_HANDLE *made), \
    (s, mechanism, base, t, tCount, made)) \
  F(PASS, C_SeedRandom, (S, IN(in)), (s, in, inLen)) \
  F(PASS, C_GenerateRandom, (S, IN(out)), (s, out, outLen)) \
  F(PASS, C_GetFunctionStatus, (S), (s)) \
  F(PASS, C_CancelFunction, (S), (s)) \
  F(OWN, C_WaitForSlotEvent, (CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved), (flags, slot, reserved))

#define AS_MEMBER(kind, name, params, args) CK_RV (*name) params;
#define AS_NUMBER(kind, name, params, args) FN_##name,
typedef struct CK_FUNCTION_LIST {
  CK_VERSION version;
  EVERY_FUNCTION(AS_MEMBER)
} CK_FUNCTION_LIST;
enum function_number { EVERY_FUNCTION(AS_NUMBER) FUNCTION_COUNT };

#endif

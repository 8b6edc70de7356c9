/* What the partition offers: some of SoftHSM's mechanisms withheld, some under Luna's own numbers. */
#include <stdlib.h>
#include "luna.h"

struct renamed { CK_ULONG standard, luna; };
static const struct renamed wraps[] = { { CKM_AES_KEY_WRAP, CKM_LUNA_AES_KW }, { CKM_AES_KEY_WRAP_PAD, CKM_LUNA_AES_KWP } };
static const struct renamed rsa[] = { { CKM_RSA_PKCS_KEY_PAIR_GEN, CKM_RSA_FIPS_186_3_PRIME_KEY_PAIR_GEN } };

/* Luna's number of a standard mechanism, or the number itself. */
static CK_ULONG shown_as(const struct control *now, CK_ULONG type) {
  for (size_t i = 0; now->vendor_wrap && i < 2; i++) if (wraps[i].standard == type) return wraps[i].luna;
  return now->vendor_rsa && rsa[0].standard == type ? rsa[0].luna : type;
}

static CK_ULONG soft_number(const struct control *now, CK_ULONG type) {
  for (size_t i = 0; now->vendor_wrap && i < 2; i++) if (wraps[i].luna == type) return wraps[i].standard;
  return now->vendor_rsa && rsa[0].luna == type ? rsa[0].standard : type;
}

static int withheld(const struct control *now, CK_ULONG type) {
  for (int i = 0; i < now->withheld_count; i++) if (now->withheld[i] == type) return 1;
  return 0;
}

static int offered(const struct control *now, CK_ULONG type) {
  return !withheld(now, type) && shown_as(now, type) == type;
}

CK_RV mechanism_for(const struct control *now, void **mechanism, CK_MECHANISM *real) {
  if (*mechanism == NULL) return CKR_ARGUMENTS_BAD;
  *real = *(CK_MECHANISM *)*mechanism;
  if (!offered(now, real->mechanism)) return CKR_MECHANISM_INVALID;
  real->mechanism = soft_number(now, real->mechanism);
  *mechanism = real;
  return CKR_OK;
}

CK_RV own_C_GetMechanismList(CK_SLOT_ID slot, CK_ULONG *list, CK_ULONG *count) {
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  const struct control *now = control_now();
  if (now->quiet) return soft->C_GetMechanismList(soft_slot, list, count);
  CK_ULONG all = 0, found = 0;
  CK_RV rv = soft->C_GetMechanismList(soft_slot, NULL, &all);
  if (rv != CKR_OK) return rv;
  CK_ULONG *types = calloc(all, sizeof *types);
  if (types == NULL) return CKR_GENERAL_ERROR;
  rv = soft->C_GetMechanismList(soft_slot, types, &all);
  for (CK_ULONG i = 0; rv == CKR_OK && i < all; i++) {
    CK_ULONG shown = shown_as(now, types[i]);
    if (!withheld(now, shown)) types[found++] = shown;
  }
  CK_ULONG room = *count;
  *count = found;
  if (rv == CKR_OK && list != NULL && room < found) rv = CKR_BUFFER_TOO_SMALL;
  for (CK_ULONG i = 0; rv == CKR_OK && list != NULL && i < found; i++) list[i] = types[i];
  free(types);
  return rv;
}

CK_RV own_C_GetMechanismInfo(CK_SLOT_ID slot, CK_ULONG type, void *info) {
  if (!slot_known(slot)) return CKR_SLOT_ID_INVALID;
  const struct control *now = control_now();
  if (!offered(now, type)) return CKR_MECHANISM_INVALID;
  return soft->C_GetMechanismInfo(soft_slot, soft_number(now, type), info);
}

/* Partition policy 1, "allow private key wrapping", is off on a partition that signs with cloning. */
CK_RV own_C_WrapKey(CK_SESSION_HANDLE s, void *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key,
  CK_BYTE *out, CK_ULONG *outLen) {
  const struct control *now = control_now();
  CK_MECHANISM real;
  CK_RV rv = mechanism_for(now, &mechanism, &real);
  if (rv != CKR_OK) return rv;
  CK_ULONG kind = 0;
  CK_ATTRIBUTE class = { CKA_CLASS, &kind, sizeof kind };
  if (now->refuse_private_wrap && soft->C_GetAttributeValue(s, key, &class, 1) == CKR_OK && kind == CKO_PRIVATE_KEY)
    return CKR_KEY_NOT_WRAPPABLE;
  return soft->C_WrapKey(s, mechanism, wrapping, key, out, outLen);
}

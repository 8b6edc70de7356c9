/** Names of the mechanisms that matter here, by number (PKCS#11 v2.40; Luna's own from cryptoki_v2.h). */
const names: Readonly<Record<number, string>> = {
  0x0000: 'CKM_RSA_PKCS_KEY_PAIR_GEN',
  0x0001: 'CKM_RSA_PKCS',
  0x0009: 'CKM_RSA_PKCS_OAEP',
  0x000a: 'CKM_RSA_X9_31_KEY_PAIR_GEN',
  0x000d: 'CKM_RSA_PKCS_PSS',
  0x0040: 'CKM_SHA256_RSA_PKCS',
  0x0041: 'CKM_SHA384_RSA_PKCS',
  0x0042: 'CKM_SHA512_RSA_PKCS',
  0x0043: 'CKM_SHA256_RSA_PKCS_PSS',
  0x0044: 'CKM_SHA384_RSA_PKCS_PSS',
  0x0045: 'CKM_SHA512_RSA_PKCS_PSS',
  0x0250: 'CKM_SHA256',
  0x0260: 'CKM_SHA384',
  0x0270: 'CKM_SHA512',
  0x0251: 'CKM_SHA256_HMAC',
  0x0261: 'CKM_SHA384_HMAC',
  0x0271: 'CKM_SHA512_HMAC',
  0x0350: 'CKM_GENERIC_SECRET_KEY_GEN',
  0x1040: 'CKM_EC_KEY_PAIR_GEN',
  0x1041: 'CKM_ECDSA',
  0x1042: 'CKM_ECDSA_SHA1',
  0x1043: 'CKM_ECDSA_SHA224',
  0x1044: 'CKM_ECDSA_SHA256',
  0x1045: 'CKM_ECDSA_SHA384',
  0x1046: 'CKM_ECDSA_SHA512',
  0x1050: 'CKM_ECDH1_DERIVE',
  0x1080: 'CKM_AES_KEY_GEN',
  0x1081: 'CKM_AES_ECB',
  0x1082: 'CKM_AES_CBC',
  0x1085: 'CKM_AES_CBC_PAD',
  0x1086: 'CKM_AES_CTR',
  0x1087: 'CKM_AES_GCM',
  0x1088: 'CKM_AES_CCM',
  0x108a: 'CKM_AES_CMAC',
  0x2109: 'CKM_AES_KEY_WRAP',
  0x210a: 'CKM_AES_KEY_WRAP_PAD',
  0x210b: 'CKM_AES_KEY_WRAP_KWP',
  0x80000142: 'CKM_RSA_FIPS_186_3_AUX_PRIME_KEY_PAIR_GEN',
  0x80000143: 'CKM_RSA_FIPS_186_3_PRIME_KEY_PAIR_GEN',
  0x80000170: 'CKM_AES_KW (Luna)',
  0x80000171: 'CKM_AES_KWP (Luna)'
}

/** An unknown number keeps its number. */
export function mechanismName(number: number): string {
  return names[number] ?? `CKM_0x${number.toString(16).toUpperCase().padStart(8, '0')}`
}

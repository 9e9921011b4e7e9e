/* SPDX-License-Identifier: MIT */
/* test_crypto.c - the primitives, by the examples of their RFCs */
#include "unit/check.h"

#include "core/crypto.h"
#include "unit/blake2s.h"
#include "unit/env.h"

static struct cv_crypto *crypto;

static int setup(void **state)
{
	(void)state;
	crypto = cv_crypto_new();
	return crypto ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	cv_crypto_free(crypto);
	cv_crypto_free(NULL);
	return 0;
}

static void expect(const uint8_t *got, const char *hex)
{
	uint8_t want[512];
	size_t n = unhex(want, hex);
	assert_memory_equal(got, want, n);
}

/* RFC 7748, section 5.2 */
static void test_x25519(void **state)
{
	uint8_t k[CV_KEY], u[CV_KEY], out[CV_KEY];
	(void)state;
	unhex(k, "a546e36bf0527c9d3b16154b82465edd"
		 "62144c0ac1fc5a18506a2244ba449ac4");
	unhex(u, "e6db6867583030db3594c1a424b15f7c"
		 "726624ec26b3353b10a903a6d0ab1c4c");
	assert_int_equal(cv_crypto_dh(out, k, u), 0);
	expect(out, "c3da55379de9c6908e94ea4df28d084f"
		    "32eccf03491c71f754b4075577a28552");
	unhex(k, "4b66e9d4d1b4673c5ad22691957d6af5"
		 "c11b6421e0ea01d42ca4169e7918ba0d");
	unhex(u, "e5210f12786811d3f4b7959d0538ae2c"
		 "31dbe7106fc03c3efc4cd549c715a493");
	assert_int_equal(cv_crypto_dh(out, k, u), 0);
	expect(out, "95cbde9476e8907d7aade45cb4b873f8"
		    "8b595a68799fa152e6f8f7647aac7957");
}

/* the same, once and a thousand times; the first is also a public key */
static void test_x25519_iterated(void **state)
{
	uint8_t k[CV_KEY] = { 9 }, u[CV_KEY] = { 9 }, out[CV_KEY];
	(void)state;
	assert_int_equal(cv_crypto_public(out, k), 0);
	expect(out, "422c8e7a6227d7bca1350b3e2bb7279f"
		    "7897b87bb6854b783c60e80311ae3079");
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(cv_crypto_dh(out, k, u), 0);
		memcpy(u, k, CV_KEY);
		memcpy(k, out, CV_KEY);
	}
	expect(k, "684cf59ba83309552800ef566f2f4d3c"
		  "1c3887c49360e3875f2eb94d99532c51");
}

/* every point of low order gives zero, which is refused */
static void test_low_order(void **state)
{
	static const char *const point[] = {
		"0000000000000000000000000000000000000000000000000000000000000"
		"000",
		"0100000000000000000000000000000000000000000000000000000000000"
		"000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
		"7f",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b8"
		"00",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11"
		"57",
	};
	uint8_t k[CV_KEY] = { 77 }, u[CV_KEY], out[CV_KEY];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(point); i++) {
		assert_int_equal(unhex(u, point[i]), CV_KEY);
		assert_int_equal(cv_crypto_dh(out, k, u), CULVERT_ECRYPTO);
	}
}

/* RFC 8439, appendix A.5: its nonce begins with four zero bytes as ours do */
static const char cipher[] =
	"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"
	"4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"
	"332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
	"9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"
	"b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"
	"af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
	"0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
	"49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"
	"a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";
static const char plain[] =
	"Internet-Drafts are draft documents valid for a maximum of six months "
	"and may be updated, replaced, or obsoleted by other documents at any "
	"time. It is inappropriate to use Internet-Drafts as reference "
	"material or to cite them other than as /\xe2\x80\x9cwork in "
	"progress./\xe2\x80\x9d";

struct sealed {
	uint8_t key[CV_KEY], ad[16], box[512];
	size_t ad_len, len;
	struct cv_aead *seal, *open;
};

#define NONCE UINT64_C(0x0807060504030201)

static void prepare(struct sealed *s)
{
	unhex(s->key, "1c9240a5eb55d38af333888604f6b5f0"
		      "473917c1402b80099dca5cbc207075c0");
	s->ad_len = unhex(s->ad, "f33388860000000000004e91");
	s->len = unhex(s->box, cipher) - CV_TAG;
	s->seal = cv_aead_new(crypto, s->key, true);
	s->open = cv_aead_new(crypto, s->key, false);
	assert_non_null(s->seal);
	assert_non_null(s->open);
}

static void finish(struct sealed *s)
{
	cv_aead_free(s->seal);
	cv_aead_free(s->open);
}

static void test_aead(void **state)
{
	struct sealed s;
	uint8_t box[512];
	(void)state;
	prepare(&s);
	memcpy(box, plain, s.len);
	assert_int_equal(s.len, sizeof plain - 1);
	assert_int_equal(cv_aead_seal(s.seal, NONCE, CV_BYTES(s.ad, s.ad_len),
				 box, s.len),
		0);
	assert_memory_equal(box, s.box, s.len + CV_TAG);
	assert_int_equal(cv_aead_open(s.open, NONCE, CV_BYTES(s.ad, s.ad_len),
				 box, s.len),
		0);
	assert_memory_equal(box, plain, s.len);
	finish(&s);
}

/* nothing that was changed opens, and the key still works afterwards */
static void test_aead_refuses(void **state)
{
	struct sealed s;
	uint8_t box[512];
	struct cv_bytes ad;
	(void)state;
	prepare(&s);
	ad = CV_BYTES(s.ad, s.ad_len);
	for (size_t i = 0; i < s.len + CV_TAG; i++) {
		memcpy(box, s.box, s.len + CV_TAG);
		box[i] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(cv_aead_open(s.open, NONCE, ad, box, s.len),
			CULVERT_ECRYPTO);
	}
	memcpy(box, s.box, s.len + CV_TAG);
	assert_int_equal(cv_aead_open(s.open, NONCE + 1, ad, box, s.len),
		CULVERT_ECRYPTO);
	memcpy(box, s.box, s.len + CV_TAG);
	ad.len--;
	assert_int_equal(
		cv_aead_open(s.open, NONCE, ad, box, s.len), CULVERT_ECRYPTO);
	memcpy(box, s.box, s.len + CV_TAG);
	assert_int_equal(cv_aead_open(s.open, NONCE, CV_NO_BYTES, box, s.len),
		CULVERT_ECRYPTO);
	memcpy(box, s.box, s.len + CV_TAG);
	ad.len++;
	assert_int_equal(cv_aead_open(s.open, NONCE, ad, box, s.len), 0);
	finish(&s);
}

/* a packet without frames, and the largest one */
static void test_aead_sizes(void **state)
{
	static uint8_t box[70000], was[70000];
	struct sealed s;
	uint64_t seed = 10;
	(void)state;
	prepare(&s);
	for (size_t len = 0; len < sizeof box - CV_TAG;
		len = len < 200 ? len + 1 : len * 3) {
		rnd_fill(&seed, box, len);
		memcpy(was, box, len);
		assert_int_equal(
			cv_aead_seal(s.seal, len, CV_NO_BYTES, box, len), 0);
		assert_int_equal(
			cv_aead_open(s.open, len, CV_NO_BYTES, box, len), 0);
		assert_memory_equal(box, was, len);
	}
	finish(&s);
}

/* RFC 7693, appendix B, and any other text against the reference */
static void test_hash(void **state)
{
	uint8_t text[400], got[CV_HASH], want[CV_HASH];
	uint64_t seed = 11;
	(void)state;
	assert_int_equal(
		cv_crypto_hash(crypto, got, CV_BYTES("abc", 3), CV_NO_BYTES),
		0);
	expect(got, "508c5e8c327c14e2e1a72ba34eeb452f"
		    "37458b209ed63a294d999b4c86675982");
	for (size_t len = 0; len <= sizeof text; len++) {
		size_t cut = (size_t)rnd_below(&seed, len + 1);
		rnd_fill(&seed, text, len);
		assert_int_equal(
			cv_crypto_hash(crypto, got, CV_BYTES(text, cut),
				CV_BYTES(text + cut, len - cut)),
			0);
		blake2s(want, CV_HASH, CV_NO_BYTES, CV_BYTES(text, len));
		assert_memory_equal(got, want, CV_HASH);
	}
}

static void test_mac(void **state)
{
	uint8_t text[400], key[CV_KEY], got[CV_MAC], want[CV_MAC];
	uint64_t seed = 12;
	(void)state;
	for (size_t len = 0; len <= sizeof text; len++) {
		rnd_fill(&seed, text, len);
		rnd_fill(&seed, key, CV_KEY);
		assert_int_equal(
			cv_crypto_mac(crypto, got, key, CV_BYTES(text, len)),
			0);
		blake2s(want, CV_MAC, CV_BYTES(key, CV_KEY),
			CV_BYTES(text, len));
		assert_memory_equal(got, want, CV_MAC);
	}
}

/* RFC 2104 over the reference */
static void hmac(
	uint8_t *out, const uint8_t key[CV_HASH], const uint8_t *in, size_t len)
{
	uint8_t inner[64 + CV_HASH + 1], outer[64 + CV_HASH];
	memset(inner, 0x36, 64);
	memset(outer, 0x5c, 64);
	for (int i = 0; i < CV_HASH; i++) {
		inner[i] ^= key[i];
		outer[i] ^= key[i];
	}
	memcpy(inner + 64, in, len);
	blake2s(outer + 64, CV_HASH, CV_NO_BYTES, CV_BYTES(inner, 64 + len));
	blake2s(out, CV_HASH, CV_NO_BYTES, CV_BYTES(outer, sizeof outer));
}

static void test_hmac(void **state)
{
	uint8_t key[CV_HASH], in[CV_HASH + 1], got[CV_HASH], want[CV_HASH];
	uint64_t seed = 13;
	(void)state;
	for (size_t len = 0; len <= CV_HASH; len++) {
		for (uint8_t last = 0; last < 4; last++) {
			rnd_fill(&seed, key, sizeof key);
			rnd_fill(&seed, in, len);
			in[len] = last;
			hmac(want, key, in, len + (last != 0));
			assert_int_equal(cv_crypto_hmac(crypto, got, key,
						 CV_BYTES(in, len), last),
				0);
			assert_memory_equal(got, want, CV_HASH);
		}
	}
	assert_int_equal(
		cv_crypto_hmac(crypto, got, key, CV_BYTES(in, CV_HASH + 1), 0),
		CULVERT_EINVAL);
}

/* RFC 7693, appendix E: its own test vouches for the reference */
static void sequence(uint8_t *out, size_t len, uint32_t seed)
{
	uint32_t a = 0xdead4bad * seed, b = 1;
	for (size_t i = 0; i < len; i++) {
		uint32_t t = a + b;
		a = b;
		b = t;
		out[i] = (uint8_t)(t >> 24);
	}
}

static void test_reference(void **state)
{
	static const size_t out_len[] = { 16, 20, 28, 32 },
			    in_len[] = { 0, 3, 64, 65, 255, 1024 };
	uint8_t in[1024], key[32], all[4 * 6 * 2 * 32];
	size_t n = 0;
	(void)state;
	for (int o = 0; o < 4; o++) {
		for (int i = 0; i < 6; i++) {
			struct cv_bytes text = CV_BYTES(in, in_len[i]);
			sequence(in, in_len[i], (uint32_t)in_len[i]);
			blake2s(all + n, out_len[o], CV_NO_BYTES, text);
			n += out_len[o];
			sequence(key, out_len[o], (uint32_t)out_len[o]);
			blake2s(all + n, out_len[o], CV_BYTES(key, out_len[o]),
				text);
			n += out_len[o];
		}
	}
	blake2s(key, 32, CV_NO_BYTES, CV_BYTES(all, n));
	expect(key, "6a411f08ce25adcdfb02aba641451cec"
		    "53c598b24f4fc787fbdc88797f4c1dfe");
}

static void test_equal_and_wipe(void **state)
{
	uint8_t a[40] = { 0 }, b[40] = { 0 };
	(void)state;
	for (size_t i = 0; i < sizeof a; i++) {
		assert_true(cv_crypto_equal(a, b, sizeof a));
		b[i] = 1;
		assert_false(cv_crypto_equal(a, b, sizeof a));
		assert_true(cv_crypto_equal(a, b, i));
		cv_crypto_wipe(b, sizeof b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_x25519),
		cmocka_unit_test(test_x25519_iterated),
		cmocka_unit_test(test_low_order),
		cmocka_unit_test(test_aead),
		cmocka_unit_test(test_aead_refuses),
		cmocka_unit_test(test_aead_sizes),
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_mac),
		cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_equal_and_wipe),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: MIT */
/* fuzz_via.c - URLs of proxies */
#include "core/via.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_text(data, size);
	struct cv_via via;
	const char *why = NULL;
	int err = cv_via_parse(&via, text, &why);
	CHECK(!err || (err == CULVERT_ESYNTAX && why));
	if (!err) {
		CHECK(*via.url.host && via.url.port >= 1);
		CHECK(via.url.port <= 65535 && !via.url.path);
		CHECK(strlen(via.user) < CV_VIA_SECRET);
		CHECK(strlen(via.pass) < CV_VIA_SECRET);
		CHECK(via.auth || (!*via.user && !*via.pass));
		CHECK(via.socks == !strcmp(via.url.scheme, "socks5"));
	}
	free(text);
	return 0;
}

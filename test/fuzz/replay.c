/* SPDX-License-Identifier: MIT */
/**
 * replay.c - a fuzz target without a fuzzer: every input of its corpus, as TAP
 *
 *	fuzz_NOUN NOUN CORPUS
 */
#include "fuzz/fuzz.h"

#include <dirent.h>

/* as read by the target, without a byte to spare behind it */
static void replay(const char *folder, const char *name)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	CHECK(f && !fseek(f, 0, SEEK_END));
	long size = ftell(f);
	CHECK(size >= 0);
	rewind(f);
	uint8_t *data = malloc((size_t)size + !size);
	CHECK(data && fread(data, 1, (size_t)size, f) == (size_t)size);
	fclose(f);
	/* the last one named is the one that broke the target */
	fprintf(stderr, "# %s\n", name);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
}

static int visible(const struct dirent *d)
{
	return *d->d_name != '.';
}

int main(int argc, char **argv)
{
	struct dirent **entry;
	if (argc != 3) {
		fprintf(stderr, "usage: %s NOUN CORPUS\n", *argv);
		return 2;
	}
	int n = scandir(argv[2], &entry, visible, alphasort);
	printf("1..1\n");
	for (int i = 0; i < n; i++) {
		replay(argv[2], entry[i]->d_name);
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	printf("%s 1 - %s: %d inputs\n", n > 0 ? "ok" : "not ok", argv[1], n);
	return n <= 0;
}

/* SPDX-License-Identifier: MIT */
/* test_list.c - the ring, against an array */
#include "unit/check.h"

#include "core/list.h"
#include "unit/env.h"

enum { N = 12 };

struct model {
	int at[2][N], n[2];
};

static void forget(struct model *m, int x)
{
	for (int l = 0; l < 2; l++) {
		int k = 0;
		for (int i = 0; i < m->n[l]; i++) {
			if (m->at[l][i] != x)
				m->at[l][k++] = m->at[l][i];
		}
		m->n[l] = k;
	}
}

static void compare(const struct cv_list *l, const struct cv_list *item,
	struct model *m, int k)
{
	const struct cv_list *e = l->next;
	for (int i = 0; i < m->n[k]; i++, e = e->next) {
		assert_ptr_equal(e, &item[m->at[k][i]]);
		assert_ptr_equal(e->next->prev, e);
	}
	assert_ptr_equal(e, l);
	assert_int_equal(cv_list_empty(l), m->n[k] == 0);
}

static void test_random(void **state)
{
	struct cv_list list[2], item[N];
	struct model m = { 0 };
	uint64_t seed = 5;
	(void)state;
	for (int i = 0; i < 2; i++)
		cv_list_init(&list[i]);
	for (int i = 0; i < N; i++)
		cv_list_init(&item[i]);
	for (int i = 0; i < 100000; i++) {
		int x = (int)rnd_below(&seed, N), k = (int)rnd_below(&seed, 2);
		uint64_t what = rnd_below(&seed, 3);
		forget(&m, x);
		if (what == 0) {
			cv_list_del(&item[x]);
			assert_true(cv_list_empty(&item[x]));
		} else if (what == 1) {
			cv_list_append(&list[k], &item[x]);
			m.at[k][m.n[k]++] = x;
		} else {
			cv_list_prepend(&list[k], &item[x]);
			memmove(&m.at[k][1], m.at[k],
				(size_t)m.n[k]++ * sizeof(int));
			m.at[k][0] = x;
		}
		compare(&list[0], item, &m, 0);
		compare(&list[1], item, &m, 1);
	}
}

static void test_twice_is_harmless(void **state)
{
	struct cv_list l, e;
	(void)state;
	cv_list_init(&l);
	cv_list_init(&e);
	cv_list_del(&e);
	cv_list_append(&l, &e);
	cv_list_append(&l, &e);
	assert_ptr_equal(l.next, &e);
	assert_ptr_equal(e.next, &l);
	cv_list_del(&e);
	cv_list_del(&e);
	assert_true(cv_list_empty(&l) && cv_list_empty(&e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_twice_is_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

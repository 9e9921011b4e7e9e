/* SPDX-License-Identifier: MIT */
#include "core/pmtud.h"

static uint32_t floor_of(const struct cv_pmtud *p)
{
	return p->device < CV_MTU_BASE ? p->device : CV_MTU_BASE;
}

static uint32_t candidate(const struct cv_pmtud *p)
{
	if (p->top == p->device)
		return p->mtu < p->top ? p->top : 0;
	if (p->top < p->mtu + CV_MTU_STEP)
		return 0;
	return p->mtu + (p->top - p->mtu + 1) / 2;
}

/* a size is decided: is there another one to be tried? */
static void decide(struct cv_pmtud *p, cv_time now)
{
	p->probe = 0;
	p->tries = 0;
	if (candidate(p))
		p->again = now;
	else
		p->again = p->mtu < p->device ? now + CV_MTU_AGAIN : CV_NEVER;
}

static void search(struct cv_pmtud *p, uint32_t mtu, cv_time now)
{
	p->mtu = mtu;
	p->top = p->device;
	p->black = 0;
	decide(p, now);
}

void cv_pmtud_init(struct cv_pmtud *p, uint32_t device, cv_time now)
{
	if (!device)
		device = CV_MTU_USUAL;
	if (device > CV_MTU_MAX)
		device = CV_MTU_MAX;
	*p = (struct cv_pmtud){ .device = device };
	search(p, floor_of(p), now);
}

uint32_t cv_pmtud_want(struct cv_pmtud *p, cv_time now)
{
	if (p->probe || now < p->again)
		return 0;
	if (!candidate(p))
		search(p, p->mtu, now);
	return candidate(p);
}

void cv_pmtud_sent(struct cv_pmtud *p, uint32_t size)
{
	p->probe = size;
}

/* what is larger than @size does not pass, nor does that itself */
static void lower_top(struct cv_pmtud *p, uint32_t size, cv_time now)
{
	uint32_t least = floor_of(p);
	if (size > p->top)
		return;
	p->top = size > least ? size - 1 : least;
	if (p->mtu > p->top)
		p->mtu = least;
	decide(p, now);
}

bool cv_pmtud_refused(struct cv_pmtud *p, uint32_t size, cv_time now)
{
	uint32_t mtu = p->mtu;
	if (size == p->probe)
		p->probe = 0;
	lower_top(p, size, now);
	return p->mtu != mtu;
}

bool cv_pmtud_probe_acked(struct cv_pmtud *p, uint32_t size, cv_time now)
{
	bool more = size > p->mtu;
	if (size == p->probe)
		p->probe = 0;
	if (!more)
		return false;
	p->mtu = size;
	if (p->top < size)
		p->top = size;
	p->black = 0;
	decide(p, now);
	return true;
}

void cv_pmtud_probe_lost(struct cv_pmtud *p, uint32_t size, cv_time now)
{
	if (size != p->probe)
		return;
	p->probe = 0;
	if (++p->tries == CV_MTU_TRIES)
		lower_top(p, size, now);
}

void cv_pmtud_acked(struct cv_pmtud *p, uint32_t size)
{
	if (!p->black)
		return;
	if (size >= p->least)
		p->black = 0;
	else
		p->small = true;
}

bool cv_pmtud_lost(struct cv_pmtud *p, uint32_t size, cv_time now)
{
	if (size <= floor_of(p) || size > p->mtu)
		return false;
	if (!p->black++) {
		p->least = size;
		p->small = false;
		p->since = now;
	}
	if (size < p->least)
		p->least = size;
	if (p->black < CV_MTU_BLACK)
		return false;
	if (!p->small && now - p->since < CV_MTU_PATIENCE)
		return false;
	search(p, floor_of(p), now);
	return true;
}

cv_time cv_pmtud_deadline(const struct cv_pmtud *p)
{
	return p->probe ? CV_NEVER : p->again;
}

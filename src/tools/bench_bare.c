/* SPDX-License-Identifier: MIT */
/*
 * Floors' pieces; see bench_bare.h. The memory of the sides: a page for what is said once, then an
 * area for each ring, which begins with the reader's line.
 */
#include "config.h"

#include "tools/bench_bare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef DUOSHM_WITH_SYSV
#include <sys/ipc.h>
#include <sys/sem.h>
#endif
#ifdef DUOSHM_WITH_POSIX
#include <semaphore.h>
#endif

#define PAGE      4096u
#define AREA      (BENCH_MEMORY / 4)
#define LINE      64u
#define WORD      8u
#define FEW       4u
#define LOOK_OVER 4096 /* fruitless looks between two at the other side's end */

/* ---- rings ---- */

static uint64_t rounded(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

void bare_ring_open(struct bare_ring *ring, void *memory, unsigned which, uint64_t bytes,
	uint64_t size, bool lines)
{
	unsigned char *area = (unsigned char *)memory + PAGE + which * (uint64_t)AREA;
	uint64_t stride = rounded(WORD + size, lines ? LINE : WORD);
	uint64_t count = FEW;

	while (count * 2 * stride <= bytes)
		count *= 2;
	*ring = (struct bare_ring){.slots = area + 2 * LINE,
		.read = (void *)area,
		.size = size,
		.stride = stride,
		.count = count};
}

static _Atomic uint64_t *slot_of(const struct bare_ring *ring)
{
	return (void *)(ring->slots + (ring->next & (ring->count - 1)) * ring->stride);
}

bool bare_ring_write(struct bare_ring *ring, const struct bench_side *side, const void *message)
{
	_Atomic uint64_t *slot = slot_of(ring);

	for (unsigned looks = 1; ring->next - ring->seen >= ring->count; looks++) {
		/* Acquire: the reader has copied what stood there. */
		ring->seen = atomic_load_explicit(ring->read, memory_order_acquire);
		if (looks % LOOK_OVER == 0 && bench_over(side))
			return false;
	}
	memcpy(slot + 1, message, (size_t)ring->size);
	atomic_store_explicit(slot, ++ring->next, memory_order_release);
	return true;
}

bool bare_ring_read(struct bare_ring *ring, const struct bench_side *side, void *message)
{
	_Atomic uint64_t *slot = slot_of(ring);

	for (unsigned looks = 1; atomic_load_explicit(slot, memory_order_acquire) != ring->next + 1;
		looks++)
		if (looks % LOOK_OVER == 0 && bench_over(side))
			return false;
	memcpy(message, slot + 1, (size_t)ring->size);
	ring->next++;
	if (ring->next - ring->seen >= ring->count / FEW || ring->count == FEW) {
		ring->seen = ring->next;
		/* Release: the writer may write over what was copied. */
		atomic_store_explicit(ring->read, ring->next, memory_order_release);
	}
	return true;
}

/* ---- semaphores ---- */

struct bare_semaphores {
	bool is_sysv;
	int set;
#ifdef DUOSHM_WITH_POSIX
	sem_t *each[BARE_SEMAPHORES];
#endif
};

/* In the memory's first page, by the parent of the sides. */
struct notice {
	int set;     /* System V: 1 + its number; 0: not made */
	unsigned id; /* POSIX: part of the names, not 0 */
};

static int fail_native(struct bench_side *side, const char *call)
{
	if (errno == ENOSPC || errno == ENOMEM || errno == EMFILE)
		return bench_skipped(side, "%s: %s", call, strerror(errno));
	return bench_failed(side, "%s: %s", call, strerror(errno));
}

#ifdef DUOSHM_WITH_SYSV
static int make_sysv(struct bench_side *side)
{
	struct notice *notice = side->memory;

	notice->set = semget(IPC_PRIVATE, BARE_SEMAPHORES, IPC_CREAT | 0600) + 1;
	return notice->set > 0 ? 0 : fail_native(side, "semget");
}

static void operate(struct bare_semaphores *s, unsigned which, short by)
{
	struct sembuf operation = {.sem_num = (unsigned short)which, .sem_op = by};

	while (semop(s->set, &operation, 1) < 0 && errno == EINTR)
		;
}
#endif

#ifdef DUOSHM_WITH_POSIX
static void posix_name(const struct bench_side *side, unsigned which, char name[64])
{
	const struct notice *notice = side->memory;

	/* NetBSD takes 14 characters. */
	snprintf(name, 64, "/b%x%c", notice->id & 0xffffffu, (char)('a' + which));
}

static int make_posix(struct bench_side *side)
{
	struct notice *notice = side->memory;
	char name[64];

	notice->id = (unsigned)getpid();
	for (unsigned i = 0; i < BARE_SEMAPHORES; i++) {
		posix_name(side, i, name);
		sem_t *made = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
		if (made == SEM_FAILED)
			return fail_native(side, "sem_open");
		(void)sem_close(made);
	}
	return 0;
}

static int open_posix(struct bench_side *side, struct bare_semaphores *s)
{
	char name[64];

	for (unsigned i = 0; i < BARE_SEMAPHORES; i++) {
		posix_name(side, i, name);
		s->each[i] = sem_open(name, 0);
		if (s->each[i] == SEM_FAILED)
			return fail_native(side, "sem_open");
	}
	return 0;
}
#endif

static bool is_sysv(const struct bench_side *side)
{
	return strcmp(side->backend, "sysv") == 0;
}

int bare_semaphores_make(struct bench_side *side)
{
#ifdef DUOSHM_WITH_SYSV
	if (is_sysv(side))
		return make_sysv(side);
#endif
#ifdef DUOSHM_WITH_POSIX
	if (!is_sysv(side))
		return make_posix(side);
#endif
	return TOOL_FAILED;
}

void bare_semaphores_sweep(struct bench_side *side)
{
	const struct notice *notice = side->memory;

#ifdef DUOSHM_WITH_SYSV
	if (notice->set > 0)
		(void)semctl(notice->set - 1, 0, IPC_RMID);
#endif
#ifdef DUOSHM_WITH_POSIX
	for (unsigned i = 0; notice->id != 0 && i < BARE_SEMAPHORES; i++) {
		char name[64];

		posix_name(side, i, name);
		(void)sem_unlink(name);
	}
#endif
}

struct bare_semaphores *bare_semaphores_open(struct bench_side *side)
{
	struct bare_semaphores *s = tool_allocate(1, sizeof *s);
	int result = 0;

	s->is_sysv = is_sysv(side);
	s->set = ((const struct notice *)side->memory)->set - 1;
#ifdef DUOSHM_WITH_POSIX
	if (!s->is_sysv)
		result = open_posix(side, s);
#endif
	if (result == 0)
		return s;
	bare_semaphores_close(s);
	return NULL;
}

void bare_post(struct bare_semaphores *s, unsigned which)
{
#ifdef DUOSHM_WITH_SYSV
	if (s->is_sysv)
		operate(s, which, 1);
#endif
#ifdef DUOSHM_WITH_POSIX
	if (!s->is_sysv)
		(void)sem_post(s->each[which]);
#endif
}

void bare_wait(struct bare_semaphores *s, unsigned which)
{
#ifdef DUOSHM_WITH_SYSV
	if (s->is_sysv)
		operate(s, which, -1);
#endif
#ifdef DUOSHM_WITH_POSIX
	while (!s->is_sysv && sem_wait(s->each[which]) < 0 && errno == EINTR)
		;
#endif
}

void bare_semaphores_close(struct bare_semaphores *s)
{
#ifdef DUOSHM_WITH_POSIX
	for (unsigned i = 0; i < BARE_SEMAPHORES; i++)
		if (s->each[i] != NULL && s->each[i] != SEM_FAILED)
			(void)sem_close(s->each[i]);
#endif
	free(s);
}

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
	memcpy(slot + 1, message, ring->size);
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
	memcpy(message, slot + 1, ring->size);
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
	unsigned count;
	int set;
#ifdef DUOSHM_WITH_POSIX
	sem_t *each[BARE_SEMAPHORES_MAX];
#endif
};

/* In the memory's first page. Side 0 says in it what is to be swept before that exists. */
struct notice {
	_Atomic bool made;   /* all of them: the others may open them */
	_Atomic int set;     /* System V: 1 + its number */
	_Atomic unsigned id; /* POSIX: part of the names, not 0 */
};

static void await_notice(const struct bench_side *side)
{
	struct notice *notice = side->memory;

	while (side->index != 0 && !atomic_load(&notice->made) && !bench_over(side))
		tool_pause(TOOL_SECOND / 10000);
}

static void give_notice(const struct bench_side *side)
{
	struct notice *notice = side->memory;

	if (side->index == 0)
		atomic_store(&notice->made, true);
}

static int fail_native(struct bench_side *side, const char *call)
{
	if (errno == ENOSPC || errno == ENOMEM || errno == EMFILE)
		return bench_skipped(side, "%s: %s", call, strerror(errno));
	return bench_failed(side, "%s: %s", call, strerror(errno));
}

#ifdef DUOSHM_WITH_SYSV
static int open_sysv(struct bench_side *side, struct bare_semaphores *s)
{
	struct notice *notice = side->memory;

	await_notice(side);
	s->is_sysv = true;
	if (side->index == 0) {
		s->set = semget(IPC_PRIVATE, (int)s->count, IPC_CREAT | 0600);
		atomic_store(&notice->set, s->set + 1);
	} else {
		s->set = atomic_load(&notice->set) - 1;
	}
	if (s->set < 0)
		return fail_native(side, "semget");
	give_notice(side);
	return 0;
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
	snprintf(name, 64, "/b%x%c", atomic_load(&notice->id) & 0xffffffu, (char)('a' + which));
}

static int open_posix(struct bench_side *side, struct bare_semaphores *s)
{
	struct notice *notice = side->memory;
	char name[64];

	if (side->index == 0)
		atomic_store(&notice->id, (unsigned)getpid());
	await_notice(side);
	for (unsigned i = 0; i < s->count; i++) {
		posix_name(side, i, name);
		s->each[i] = side->index == 0 ? sem_open(name, O_CREAT | O_EXCL, 0600, 0)
					      : sem_open(name, 0);
		if (s->each[i] == SEM_FAILED)
			return fail_native(side, "sem_open");
	}
	give_notice(side);
	return 0;
}
#endif

struct bare_semaphores *bare_semaphores_open(struct bench_side *side, unsigned count)
{
	struct bare_semaphores *s = tool_allocate(1, sizeof *s);
	int result = TOOL_FAILED;

	s->count = count;
#ifdef DUOSHM_WITH_SYSV
	if (strcmp(side->backend, "sysv") == 0)
		result = open_sysv(side, s);
#endif
#ifdef DUOSHM_WITH_POSIX
	if (strcmp(side->backend, "posix") == 0)
		result = open_posix(side, s);
#endif
	if (result == 0)
		return s;
	bare_semaphores_close(side, s);
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

void bare_semaphores_close(struct bench_side *side, struct bare_semaphores *s)
{
#ifdef DUOSHM_WITH_SYSV
	if (s->is_sysv && side->index == 0 && s->set >= 0)
		(void)semctl(s->set, 0, IPC_RMID);
#endif
#ifdef DUOSHM_WITH_POSIX
	for (unsigned i = 0; !s->is_sysv && i < s->count; i++) {
		char name[64];

		posix_name(side, i, name);
		if (s->each[i] != NULL && s->each[i] != SEM_FAILED)
			(void)sem_close(s->each[i]);
		if (side->index == 0)
			(void)sem_unlink(name);
	}
#endif
	free(s);
}

void bare_semaphores_sweep(struct bench_side *side)
{
	const struct notice *notice = side->memory;

#ifdef DUOSHM_WITH_SYSV
	if (strcmp(side->backend, "sysv") == 0 && atomic_load(&notice->set) > 0)
		(void)semctl(atomic_load(&notice->set) - 1, 0, IPC_RMID);
#endif
#ifdef DUOSHM_WITH_POSIX
	for (unsigned i = 0; atomic_load(&notice->id) != 0 && i < BARE_SEMAPHORES_MAX; i++) {
		char name[64];

		posix_name(side, i, name);
		(void)sem_unlink(name);
	}
#endif
}

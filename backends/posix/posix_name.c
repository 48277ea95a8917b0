/* SPDX-License-Identifier: MIT */
/*
 * POSIX names: "/duoshm.NAME.TAG" for a segment, the same with ".0" to ".3" for its bells, and what
 * a failed call with one means. The tag is 60 random bits of the generation: a re-created object
 * has another name, and nobody meets it by accident, so one attempt is enough.
 *
 * Traps. The longest name is 30 characters for a semaphore on macOS and 14 on NetBSD, and a name is
 * never cut: what does not fit is left out whole, the tag stays. Where files stand behind them, a
 * file system may fold case: lower case only. On musl segments and semaphores share one name space,
 * and glibc's semaphore "/x" is the segment "/sem.x": a bell's last part is one character, a
 * segment's is 12.
 */
#include "config.h"

#include "backends/posix/posix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX      "/duoshm."
#define PREFIX_SIZE (sizeof PREFIX - 1)
#define TAG_SIZE    12 /* of 5 bits each */

static void write_tag(uint64_t generation, char out[TAG_SIZE + 1])
{
	for (int i = 0; i < TAG_SIZE; i++)
		out[i] = "abcdefghijklmnopqrstuvwxyz234567"[generation >> 5 * i & 31];
	out[TAG_SIZE] = '\0';
}

int duoshm__posix_derive(const struct duoshm__naming *naming, unsigned attempt,
	struct duoshm__native *out, struct duoshm_failure *why)
{
	char tag[TAG_SIZE + 1];
	bool fits;

	write_tag(naming->generation, tag);
	if (attempt > 0) {
		duoshm__native_failure(why, DUOSHM_ERR_COLLISION, 0, "shm_open(\"...%s\")", tag);
		duoshm__native_cause(
			why, "the random name of \"%s\" is taken by another object", naming->name);
		return duoshm__native_cure(why, "try again: the next name is another one");
	}
	fits = PREFIX_SIZE + strlen(naming->name) + 1 + TAG_SIZE <= DUOSHM_SHM_NAME_MAX;
	snprintf(out->text, sizeof out->text, PREFIX "%.*s%s%s", fits ? DUOSHM_NAME_MAX : 0,
		naming->name, fits ? "." : "", tag);
	out->segment_id = -1;
	out->bells_id = -1;
	return 0;
}

void duoshm__posix_bell_name(
	const struct duoshm__native *native, unsigned bell, char out[DUOSHM__NATIVE_SIZE])
{
	size_t length = strnlen(native->text, DUOSHM__NATIVE_SIZE - 3);
	const char *tag = native->text + (length > TAG_SIZE ? length - TAG_SIZE : 1);

	if (length + 2 <= DUOSHM_SEM_NAME_MAX)
		snprintf(out, DUOSHM__NATIVE_SIZE, "%.*s.%u", (int)length, native->text, bell);
	else if (PREFIX_SIZE + TAG_SIZE + 2 <= DUOSHM_SEM_NAME_MAX)
		snprintf(out, DUOSHM__NATIVE_SIZE, PREFIX "%.*s.%u", TAG_SIZE, tag, bell);
	else
		snprintf(out, DUOSHM__NATIVE_SIZE, "/%.*s%u", TAG_SIZE, tag, bell);
}

int duoshm__posix_code(int system_error)
{
	switch (system_error) {
	case EACCES:
	case EROFS:
	case EPERM: return DUOSHM_ERR_PERMISSION; /* macOS and NetBSD: EPERM, others: EACCES */
	case EEXIST: return DUOSHM_ERR_EXISTS;
	case ENOENT: return DUOSHM_ERR_NOT_FOUND;
	case ENOSYS: return DUOSHM_ERR_UNAVAILABLE;
#if defined ENOTSUP
	case ENOTSUP: return DUOSHM_ERR_UNAVAILABLE; /* NetBSD: no tmpfs on /var/shm */
#endif
	case EMFILE:
	case ENFILE:
	case EFBIG: return DUOSHM_ERR_LIMIT;
	case ENOSPC:
	case EDQUOT:
	case ENOMEM: return DUOSHM_ERR_NO_SPACE;
	default: return DUOSHM_ERR_SYSTEM;
	}
}

int duoshm__posix_gone(const struct duoshm__posix_space *space, int system_error, const char *name,
	struct duoshm_failure *why)
{
	duoshm__native_failure(
		why, DUOSHM_ERR_NOT_FOUND, system_error, "%s(\"%s\")", space->open_name, name);
	if (system_error == ENOENT)
		return duoshm__native_cause(why, "there is no %s with name %s", space->one, name);
	return duoshm__native_cause(why, "the %s %s is not built yet", space->one, name);
}

int duoshm__posix_fail_call(const struct duoshm__posix_space *space, int system_error,
	const char *name, const char *call, const char *rest, struct duoshm_failure *why)
{
	if (system_error == ENOENT)
		return duoshm__posix_gone(space, system_error, name, why);
	duoshm__native_failure(why, duoshm__posix_code(system_error), system_error, "%s(\"%s\"%s)",
		call, name, rest);
	return space->blame(why, space->size);
}

int duoshm__posix_fail_create(const struct duoshm__posix_space *space, int system_error,
	const char *name, unsigned mode, struct duoshm_failure *why)
{
	/* Nothing need exist for it but the place. */
	int code =
		system_error == ENOENT ? DUOSHM_ERR_UNAVAILABLE : duoshm__posix_code(system_error);

	duoshm__native_failure(why, code, system_error,
		"%s(\"%s\", O_RDWR | O_CREAT | O_EXCL, 0%o)", space->open_name, name, mode);
	if (system_error == ENOENT)
		return duoshm__native_cause(
			why, "the place where this system keeps %s is missing", space->all);
	return space->blame(why, space->size);
}

/* SPDX-License-Identifier: MIT */
/*
 * Random numbers by the best call that the system has. A generator in user space would give a
 * forked child its parent's numbers again, so each number is the kernel's.
 */
#include "config.h"

#include "core/random.h"

#include "core/failure.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef HAVE_GETRANDOM
#include <sys/random.h>
#endif

static int read_device(void *bytes, size_t size)
{
	int fd = duoshm__file_open("/dev/urandom", O_RDONLY, 0);
	if (fd < 0)
		return -1;
	ssize_t got;
	do
		got = read(fd, bytes, size);
	while (got < 0 && errno == EINTR);
	close(fd);
	return got == (ssize_t)size ? 0 : -1;
}

static int fill(void *bytes, size_t size)
{
#if defined HAVE_GETRANDOM
	ssize_t got;
	do
		got = getrandom(bytes, size, 0);
	while (got < 0 && errno == EINTR);
	if (got == (ssize_t)size)
		return 0;
#elif defined HAVE_ARC4RANDOM_BUF
	arc4random_buf(bytes, size);
	return 0;
#endif
	return read_device(bytes, size);
}

int duoshm__random(unsigned bits, uint64_t *out)
{
	uint64_t number = 0;
	while (number == 0) {
		if (fill(&number, sizeof number) != 0)
			return duoshm__fail_call(
				DUOSHM_ERR_SYSTEM, errno, "read(\"/dev/urandom\")");
		number >>= 64 - bits;
	}
	*out = number;
	return 0;
}

# SPDX-License-Identifier: MIT
# What differs between systems. Functions, members and types are checked by compiling and linking,
# for headers newer than the libraries declare more than there is.

# DUOSHM_CHECK_PLATFORM
AC_DEFUN([DUOSHM_CHECK_PLATFORM], [
AC_CHECK_HEADERS([sys/param.h sys/sysctl.h sys/statvfs.h sys/user.h sys/proc.h sys/mount.h \
	sys/vfs.h sys/syscall.h sys/prctl.h linux/membarrier.h linux/magic.h sched.h], [], [], [
#ifdef HAVE_SYS_PARAM_H
# include <sys/param.h>
#endif
#include <sys/types.h>
])

AC_CHECK_FUNCS([sem_timedwait sem_clockwait sem_clockwait_np semtimedop posix_fallocate getrandom \
	arc4random_buf sysctlbyname sched_setaffinity syscall strerrordesc_np secure_getenv issetugid])

dnl How a process's start is told: FreeBSD, NetBSD, OpenBSD, macOS, DragonFly; on Linux by /proc.
AC_CHECK_MEMBERS([struct kinfo_proc.ki_start, struct kinfo_proc2.p_ustart_sec,
	struct kinfo_proc2.p_realstat, struct kinfo_proc.p_ustart_sec,
	struct kinfo_proc.kp_proc.p_starttime, struct kinfo_proc.kp_start], [], [], [
#include <sys/types.h>
#ifdef HAVE_SYS_PARAM_H
# include <sys/param.h>
#endif
#ifdef HAVE_SYS_SYSCTL_H
# include <sys/sysctl.h>
#endif
#ifdef HAVE_SYS_USER_H
# include <sys/user.h>
#endif
])
dnl Whether a file system is on this machine: by its type, or by a flag.
AC_CHECK_MEMBERS([struct statfs.f_flags, struct statvfs.f_basetype], [], [], [
#include <sys/types.h>
#ifdef HAVE_SYS_PARAM_H
# include <sys/param.h>
#endif
#ifdef HAVE_SYS_VFS_H
# include <sys/vfs.h>
#endif
#ifdef HAVE_SYS_MOUNT_H
# include <sys/mount.h>
#endif
#ifdef HAVE_SYS_STATVFS_H
# include <sys/statvfs.h>
#endif
])
AC_CACHE_CHECK([whether 64-bit atomics need -latomic], [duoshm_cv_needs_libatomic], [
	duoshm_save_LIBS=$LIBS
	duoshm_cv_needs_libatomic=no
	AC_LINK_IFELSE([DUOSHM_ATOMIC_PROGRAM], [], [
		LIBS="$LIBS -latomic"
		AC_LINK_IFELSE([DUOSHM_ATOMIC_PROGRAM], [duoshm_cv_needs_libatomic=yes],
			[duoshm_cv_needs_libatomic=missing])
	])
	LIBS=$duoshm_save_LIBS
])
AS_CASE([$duoshm_cv_needs_libatomic],
	[yes], [LIBS="$LIBS -latomic"],
	[missing], [AC_MSG_ERROR([$CC has no C11 atomics of 64 bits, with or without -latomic])])
])

# DUOSHM_ATOMIC_PROGRAM: a program that uses the atomic operations of this project.
AC_DEFUN([DUOSHM_ATOMIC_PROGRAM], [AC_LANG_PROGRAM([[
#include <stdatomic.h>
#include <stdint.h>
static _Atomic uint64_t word;
static _Atomic uint32_t half;
]], [[
uint64_t seen = atomic_load(&word);
atomic_store(&word, 1);
atomic_fetch_add(&half, 1);
return !atomic_compare_exchange_strong(&word, &seen, 2);
]])])

# DUOSHM_CHECK_LIMITS: facts that no header tells and no link test shows, by the name of the system.
AC_DEFUN([DUOSHM_CHECK_LIMITS], [
AC_CACHE_CHECK([for the longest name of a POSIX segment], [duoshm_cv_shm_name_max],
	[AS_CASE([$host_os],
		[darwin*], [duoshm_cv_shm_name_max=31],
		[netbsd*], [duoshm_cv_shm_name_max=247],
		[duoshm_cv_shm_name_max=250])])
AC_DEFINE_UNQUOTED([DUOSHM_SHM_NAME_MAX], [$duoshm_cv_shm_name_max],
	[Longest name that shm_open takes, with the leading slash and without the final NUL.])

AC_CACHE_CHECK([for the longest name of a POSIX semaphore], [duoshm_cv_sem_name_max],
	[AS_CASE([$host_os],
		[darwin*], [duoshm_cv_sem_name_max=30],
		[netbsd*], [duoshm_cv_sem_name_max=14],
		[duoshm_cv_sem_name_max=250])])
AC_DEFINE_UNQUOTED([DUOSHM_SEM_NAME_MAX], [$duoshm_cv_sem_name_max],
	[Longest name that sem_open takes, with the leading slash and without the final NUL.])

dnl Linux keeps the open file, and with it the flock, as long as the file is mapped anywhere.
AC_CACHE_CHECK([whether a mapping keeps the flock of its file], [duoshm_cv_mapping_holds_flock],
	[AS_CASE([$host_os],
		[linux*], [duoshm_cv_mapping_holds_flock=yes],
		[duoshm_cv_mapping_holds_flock=no])])
AS_IF([test "x$duoshm_cv_mapping_holds_flock" = xyes],
	[AC_DEFINE([DUOSHM_MAPPING_HOLDS_FLOCK], [1],
		[Define to 1 if a mapping of a file keeps its flock held after close().])])
dnl OpenBSD has no unified buffer cache: read() sees what was written through a mapping only after msync().
AC_CACHE_CHECK([whether read sees what a mapping wrote], [duoshm_cv_mapping_is_coherent],
	[AS_CASE([$host_os],
		[openbsd*], [duoshm_cv_mapping_is_coherent=no],
		[duoshm_cv_mapping_is_coherent=yes])])
AS_IF([test "x$duoshm_cv_mapping_is_coherent" = xno],
	[AC_DEFINE([DUOSHM_MAPPING_NEEDS_MSYNC], [1],
		[Define to 1 if read() does not see what a mapping wrote before msync().])])
])

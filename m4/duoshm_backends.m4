# SPDX-License-Identifier: MIT
# Which kernel families are built, and which one serves where nobody says.

# DUOSHM_ARG_BACKENDS
# Sets the conditionals and definitions DUOSHM_WITH_SYSV and DUOSHM_WITH_POSIX, defines
# DUOSHM_DEFAULT_BACKEND, and adds the libraries that the chosen families need.
AC_DEFUN([DUOSHM_ARG_BACKENDS], [
AC_ARG_ENABLE([backends],
	[AS_HELP_STRING([--enable-backends=LIST],
		[kernel families to build, of sysv,posix @<:@all that the system has@:>@])],
	[], [enable_backends=auto])
AC_ARG_WITH([default-backend],
	[AS_HELP_STRING([--with-default-backend=NAME],
		[auto, sysv or posix: the family of new objects where neither the program nor
		 DUOSHM_BACKEND names one @<:@auto@:>@])],
	[], [with_default_backend=auto])

duoshm_want_sysv=no
duoshm_want_posix=no
AS_CASE([$enable_backends],
	[auto|yes|all], [duoshm_want_sysv=auto duoshm_want_posix=auto],
	[no|''], [AC_MSG_ERROR([--enable-backends: at least one of sysv and posix is needed])],
	[for duoshm_name in `AS_ECHO(["$enable_backends"]) | tr ',' ' '`; do
		AS_CASE([$duoshm_name],
			[sysv], [duoshm_want_sysv=yes],
			[posix], [duoshm_want_posix=yes],
			[AC_MSG_ERROR([--enable-backends=$enable_backends: no such backend as "$duoshm_name"; there are sysv and posix])])
	done])

AS_CASE([$with_default_backend], [auto|sysv|posix], [],
	[AC_MSG_ERROR([--with-default-backend=$with_default_backend: it is auto, sysv or posix])])

# Libraries: glibc before 2.34, NetBSD and old Solaris keep these in -lrt or -lpthread; macOS has no
# -lrt at all, hence the search instead of a list.
AC_SEARCH_LIBS([pthread_create], [pthread])
AC_SEARCH_LIBS([clock_gettime], [rt])

duoshm_has_sysv=yes
AC_CHECK_HEADERS([sys/ipc.h sys/shm.h sys/sem.h], [], [duoshm_has_sysv=no])
AC_CHECK_FUNCS([ftok shmget shmat semget semop], [], [duoshm_has_sysv=no])

duoshm_has_posix=yes
AC_CHECK_HEADERS([sys/mman.h semaphore.h], [], [duoshm_has_posix=no])
AC_SEARCH_LIBS([shm_open], [rt], [], [duoshm_has_posix=no])
AC_SEARCH_LIBS([sem_open], [pthread rt], [], [duoshm_has_posix=no])

DUOSHM_DECIDE_BACKEND([sysv], [SYSV], [System V (ftok, shmget, semget)])
DUOSHM_DECIDE_BACKEND([posix], [POSIX], [POSIX (shm_open, mmap, sem_open)])
duoshm_backends=`AS_ECHO(["$duoshm_built_sysv $duoshm_built_posix"]) | sed 's/^ *//;s/ *$//'`
AS_IF([test "x$duoshm_backends" = x],
	[AC_MSG_ERROR([neither System V nor POSIX shared memory is here, or neither was asked for])])

AS_CASE([$with_default_backend],
	[auto], [],
	[sysv|posix],
		[AS_CASE([" $duoshm_backends "], [*" $with_default_backend "*], [],
			[AC_MSG_ERROR([--with-default-backend=$with_default_backend: that backend is not built, only: $duoshm_backends])])])
AC_DEFINE_UNQUOTED([DUOSHM_DEFAULT_BACKEND], ["$with_default_backend"],
	[Family of new objects where neither the program nor the environment names one.])
AC_SUBST([DUOSHM_BACKENDS], [$duoshm_backends])
])

# DUOSHM_DECIDE_BACKEND(NAME, CONDITIONAL, IN WORDS)
AC_DEFUN([DUOSHM_DECIDE_BACKEND], [
duoshm_built_$1=
AS_IF([test "x$duoshm_want_$1$duoshm_has_$1" = xyesno],
	[AC_MSG_ERROR([--enable-backends=$enable_backends: this system has no $3])])
AS_IF([test "x$duoshm_want_$1" != xno && test "x$duoshm_has_$1" = xyes], [
	duoshm_built_$1=$1
	AC_DEFINE([DUOSHM_WITH_$2], [1], [Define to 1 if $3 is built.])
])
AM_CONDITIONAL([DUOSHM_WITH_$2], [test "x$duoshm_built_$1" != x])
])

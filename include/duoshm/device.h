/* SPDX-License-Identifier: MIT */
/*
 * A client's door to a device: its registers, its sample stream, its commands. Works with a
 * `device` program or any other program that serves the same objects. Nothing in here knows a
 * family: the context does.
 *
 * The device's object is mapped read-only; commands and lossless captures go through a lane, an
 * object of this client's own, which is made at the first of them. A client that only reads needs
 * no right to write anything.
 *
 * Results, time and ownership are as in <duoshm.h>. A connection is used by one thread at a time.
 * When the device dies or ends, calls that need it return DUOSHM_ERR_PEER_DEAD or
 * DUOSHM_ERR_REMOVED within a second; what was read last can still be read. duoshm_device_check
 * then takes the connection over to the next device of the name.
 */
#ifndef DUOSHM_DEVICE_H
#define DUOSHM_DEVICE_H

#include <duoshm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct duoshm_device;

#define DUOSHM_REGISTERS_MAX   1024
#define DUOSHM_CHANNELS_MAX    64
#define DUOSHM_DEVICE_NAME_MAX 48 /* lanes are named after their device */
#define DUOSHM_REPLY_SIZE      512

enum duoshm_type {
	DUOSHM_TYPE_REAL = 1,    /* value.real; raw is the quantised integer where there is one */
	DUOSHM_TYPE_INTEGER = 2, /* value.integer */
	DUOSHM_TYPE_BOOLEAN = 3, /* value.integer 0 or 1 */
	DUOSHM_TYPE_TEXT = 4     /* value.text */
};

enum duoshm_severity {
	DUOSHM_NO_ALARM = 0,
	DUOSHM_MINOR = 1,
	DUOSHM_MAJOR = 2,
	DUOSHM_INVALID = 3
};
enum duoshm_alarm { /* why */
	DUOSHM_ALARM_NONE = 0,
	DUOSHM_ALARM_HIHI = 1,
	DUOSHM_ALARM_HIGH = 2,
	DUOSHM_ALARM_LOW = 3,
	DUOSHM_ALARM_LOLO = 4,
	DUOSHM_ALARM_READ = 5,
	DUOSHM_ALARM_COMM = 6,
	DUOSHM_ALARM_UDF = 7 /* never set */
};
const char *duoshm_severity_name(int severity); /* "NO_ALARM", "MINOR", ... */
const char *duoshm_alarm_name(int alarm);       /* "NO_ALARM", "HIHI", ... */
const char *duoshm_type_name(int type);         /* "real", ... */

/* What the device says of itself. */
struct duoshm_device_info {
	size_t size;
	char name[DUOSHM_NAME_SIZE];
	char backend[8];
	char native[100];
	char signal[128]; /* "sine:period=2s:amp=1V", "replay:FILE.wav" */
	int64_t pid;
	int alive;                /* 1, 0 dead, -1 cannot be told */
	int running;              /* 0: stopped, by command or before its first start */
	int64_t started_ns;       /* real time */
	int64_t heartbeat_age_ns; /* by the monotonic clock */
	int64_t heartbeat_period_ns;
	double rate_hz; /* samples (of all channels together: frames) per second */
	unsigned channels;
	unsigned bits;   /* of a sample as the device gives it: 1 to 64 */
	int sample_type; /* enum duoshm_sample_type */
	unsigned registers;
	unsigned clients;      /* lanes being served */
	uint64_t frames;       /* made so far */
	uint64_t total_frames; /* a replay's length; 0: endless */
};
#define DUOSHM_DEVICE_INFO_INIT DUOSHM_SIZED(struct duoshm_device_info, size)

/* A register's description: fixed while the device runs. */
struct duoshm_register {
	char name[32]; /* [A-Z][A-Z0-9_]* */
	char unit[16];
	char description[64];
	int type;         /* enum duoshm_type */
	int writable;     /* 0 or 1 */
	int precision;    /* digits after the decimal point to show */
	unsigned bits;    /* quantised to; 0: not quantised */
	double low, high; /* limits of a write and of the signal; low > high: none */
	double lolo, low_alarm, high_alarm, hihi; /* NAN: none */
};

struct duoshm_value {
	int type;
	int spare; /* a value lies in shared memory: so its layout is the same on every machine */
	double real;
	int64_t integer; /* INTEGER, BOOLEAN; REAL: the raw, quantised value */
	char text[64];
	uint64_t sequence;   /* counts the register's updates */
	int64_t t_sample_ns; /* when the device took it, real time */
	int64_t t_update_ns; /* when it was written into the table, real time */
	int severity, alarm;
};

/*
 * Waits up to timeout_ns for the device to come into being. NOT_FOUND, OTHER_BACKEND, WRONG_KIND,
 * CORRUPT, INCOMPATIBLE, PEER_DEAD (its remains are there, its process is not).
 */
int duoshm_device_connect(
	struct duoshm *ctx, const char *name, int64_t timeout_ns, struct duoshm_device **out);
/* In any case. The result is that of the removal of this client's lane, where it has one. */
int duoshm_device_disconnect(struct duoshm_device *device);
int duoshm_device_info(struct duoshm_device *device, struct duoshm_device_info *out);
/*
 * 0 while the device lives, and cheap then; PEER_DEAD or REMOVED while it is gone. DUOSHM_REPLACED,
 * once: another one has come in its place, and the connection is with that one now. No other call
 * changes that. The format, the registers and their indices are then to be asked for anew; who
 * followed follows from here on; a capture does not go on (capture_next: INVALID), for its samples
 * would not be of one recording. Also what connect gives, where what bears the name now is no
 * device that this program can talk to.
 */
int duoshm_device_check(struct duoshm_device *device);

/* ---- registers: reading takes no lock and no system call, and never sees half a value ---- */

/* How many there are. */
int duoshm_device_registers(struct duoshm_device *device);
/* The index of a register (names are compared without regard to case), or NOT_FOUND. */
int duoshm_device_find(struct duoshm_device *device, const char *name);
int duoshm_device_describe(
	struct duoshm_device *device, unsigned index, struct duoshm_register *out);
int duoshm_device_read(struct duoshm_device *device, unsigned index, struct duoshm_value *out);
/* `count` registers from `first`, all of one moment. BUSY: `out` holds nothing of use. */
int duoshm_device_snapshot(
	struct duoshm_device *device, unsigned first, unsigned count, struct duoshm_value *out);

/* ---- commands: acknowledged through this client's lane ---- */

/*
 * Sets a register from text ("0.5", "on", "500ms") and waits for the acknowledgement. REFUSED with
 * the device's reason as cause: read-only register, wrong type, beyond limits. NOT_FOUND: no such
 * register.
 */
int duoshm_device_write(
	struct duoshm_device *device, unsigned index, const char *text, int64_t timeout_ns);
/*
 * Any command line ("start", "set PERIOD=0.5s", "status"); the answer's text goes into reply
 * (zero-terminated). REFUSED as above.
 */
int duoshm_device_command(struct duoshm_device *device, const char *command, char *reply,
	size_t reply_size, int64_t timeout_ns);

/* ---- samples ---- */

enum duoshm_sample_type {
	/*
	 * of a signal: the raw count, see `scale`; of a replay: left-justified to 32 bits, as audio
	 * files have it
	 */
	DUOSHM_SAMPLE_INT32 = 1,
	DUOSHM_SAMPLE_REAL64 = 2
};

/* What is needed to interpret and to store samples. */
struct duoshm_format {
	int sample_type;
	unsigned channels;
	unsigned bits;  /* significant ones; of a REAL64 replay 32 or 64, as in the file */
	unsigned spare; /* as in a value */
	double rate_hz;
	double scale, offset; /* value = sample * scale + offset, in `unit` */
	char unit[16];
	char names[DUOSHM_CHANNELS_MAX][32]; /* of the channels */
	char source[16];                     /* "signal", "wav", "csv" */
	uint64_t total_frames;               /* 0: endless */
};
int duoshm_device_format(struct duoshm_device *device, struct duoshm_format *out);

/* A run of frames; channel-interleaved samples of the format's type. */
struct duoshm_block {
	uint64_t first;     /* number of its first frame, from the device's start of the signal */
	int64_t t_first_ns; /* when that was sampled, real time */
	unsigned frames;
	uint64_t missed; /* frames lost before this block, which may be empty; 0 in a capture */
	/* frames * channels of int32_t or double; valid until the next call on the connection */
	const void *samples;
};

/*
 * Live: from now on, the device never waits; a reader that falls behind is told how many frames it
 * missed. next: TIMEOUT, END (the replay is over), PEER_DEAD, REMOVED.
 */
int duoshm_device_follow(struct duoshm_device *device);
int duoshm_device_next(struct duoshm_device *device, int64_t timeout_ns, struct duoshm_block *out);

/*
 * Lossless: every frame from the start of the capture (for a replay that waits for its first
 * capture: from its first frame), through this client's lane; the device waits for a slow client.
 * frames 0: until END or stop. A capture that was not acknowledged in time (TIMEOUT) is called off;
 * a replay that waited for it may have begun.
 */
int duoshm_device_capture(struct duoshm_device *device, uint64_t frames, int64_t timeout_ns);
int duoshm_device_capture_next(
	struct duoshm_device *device, int64_t timeout_ns, struct duoshm_block *out);
int duoshm_device_capture_stop(struct duoshm_device *device);

#ifdef __cplusplus
}
#endif
#endif

/*
 * Messages between hostd and the guest. hostd's side is
 * src/hostd/vmm/qemu/guest-protocol/protocol.ts: change both together and raise PROTOCOL_VERSION.
 *
 * The guest keeps its whole state until it is destroyed, and answers every SYNC with it. So a hostd
 * that was away learns the truth with one message, and only log lines need an ACK: they carry
 * consecutive numbers, are kept until acknowledged, and sent again after a SYNC.
 *
 * A command beside the workload belongs to the session in which the host started it, and is killed
 * when that session ends. Each end sends no more data of it than the other has granted.
 *
 * A connection of the API inside the machine also belongs to its session. The guest opens it, and each
 * end may send API_WINDOW bytes of it, and then as many as the other has granted.
 *
 * All times from the guest are microseconds of its CLOCK_MONOTONIC.
 */
#pragma once

#define PROTOCOL_VERSION 8
#define AGENT_PORT_NAME "windhover.agent"

enum message {
	/* host to guest */
	MSG_SYNC = 1,   /* NONCE, ACK, PROTOCOL: begins a session; the guest answers with STATE, with that nonce, and all lines after ACK */
	MSG_RUN = 2,    /* see `struct run_request`; only the first counts */
	MSG_SIGNAL = 3, /* REQUEST, SIGNAL: answered by SIGNALLED */
	MSG_ACK = 4,    /* ACK: the host has the lines up to this number */
	/*
	 * As RUN, but afterwards the guest removes all that the program left and waits again. The
	 * real run is much faster then, as the emulator has translated the code that it needs.
	 * Nothing is written to the scratch disk but what mounting it writes.
	 */
	MSG_WARM_UP = 5,
	/* EXEC, CREDIT, and ARG..., ENV..., USER, WORKING_DIR, INPUT, ROWS, COLUMNS of a command. Ends with EXEC_ENDED. */
	MSG_EXEC = 6,
	MSG_LIST = 7,        /* EXEC, CREDIT: as a command that writes the workload's processes */
	MSG_EXEC_INPUT = 8,  /* EXEC, DATA, END: input; EXEC_INPUT_MAX bytes at the beginning */
	MSG_EXEC_CREDIT = 9, /* EXEC, CREDIT: grants bytes of output */
	MSG_EXEC_RESIZE = 10, /* EXEC, ROWS, COLUMNS */
	MSG_EXEC_SIGNAL = 11, /* EXEC, SIGNAL */
	MSG_EXEC_KILL = 12,   /* EXEC: kills its session; what it wrote is dropped */
	MSG_LISTEN = 13,      /* PORT...: the ports of the workload that LISTENING is about, for this session */
	/*
	 * CLOSE: kills all commands and stops the workload, for a save of the VM. Answered by STATE,
	 * with FROZEN when it stands still.
	 */
	MSG_FREEZE = 14,
	/*
	 * NONCE, HOST_TIME, ENTROPY, HOSTNAME, CLOSE: sets these while the workload stands still.
	 * Answered by STATE, with RESUMED when clock and entropy are new. The host lets no guest go on
	 * that has not confirmed that.
	 */
	MSG_RESUME = 15,
	MSG_THAW = 16, /* lets the workload go on; answered by STATE */
	MSG_API_DATA = 17,   /* CONNECTION, DATA, END: for the process that opened it */
	MSG_API_CREDIT = 18, /* CONNECTION, CREDIT: grants as many bytes from it more */
	MSG_API_CLOSE = 19,  /* CONNECTION: the host takes no more of it; ends once what the host sent is written */
	/* guest to host */
	MSG_STATE = 65,     /* after every change, and in answer to SYNC */
	MSG_LOGS = 66,      /* NOW, LINE... */
	MSG_SIGNALLED = 67, /* REQUEST, ERRNO (0: delivered) */
	MSG_EXEC_STARTED = 68, /* EXEC, PID */
	MSG_EXEC_OUTPUT = 69,  /* EXEC, STREAM, DATA */
	MSG_EXEC_TAKEN = 70,   /* EXEC, CREDIT: grants as many bytes of input more */
	/* EXEC and EXIT_CODE, EXIT_SIGNAL, INTERRUPTED, or FAILED_STEP, ERRNO and DETAIL. The last message. */
	MSG_EXEC_ENDED = 71,
	MSG_LISTENING = 72, /* PORT_STATE...: all ports, at first and after every change */
	MSG_API_OPEN = 73,   /* CONNECTION: a process has opened a connection */
	MSG_API_INPUT = 74,  /* CONNECTION, DATA, END: from the process */
	MSG_API_TAKEN = 75,  /* CONNECTION, CREDIT: grants as many bytes for it more */
	MSG_API_CLOSED = 76, /* CONNECTION: it is over. The last message. */
};

enum tag {
	TAG_NONCE = 1,
	TAG_ACK = 2,
	TAG_REQUEST = 3,
	TAG_SIGNAL = 4,
	TAG_ERRNO = 5,
	/* RUN */
	TAG_HOST_TIME = 16, /* microseconds since 1970 */
	TAG_ENTROPY = 17,
	TAG_ROOT_SERIAL = 18, /* serial number of the block device with the root file system */
	TAG_ARG = 19,         /* once per argument */
	TAG_ENV = 20,         /* once per variable, NAME=value */
	TAG_USER = 21,
	TAG_WORKING_DIR = 22,
	TAG_HOSTNAME = 23,
	TAG_SCRATCH_SERIAL = 24,
	TAG_VOLUME = 25, /* once per directory that must exist */
	TAG_RESOLVER = 26, /* text of /etc/resolv.conf */
	TAG_FILE = 27,     /* mode (4), length of the path (4), path, content; once per file */
	TAG_TTY = 28,      /* 1: on a terminal */
	/* STATE */
	TAG_PROTOCOL = 32,
	TAG_STATE = 33, /* enum run_state */
	TAG_NOW = 34,
	TAG_PHASE = 35, /* id (1), start (8), end (8); once per phase */
	TAG_RUN_AT = 36,
	TAG_EXEC_AT = 37,
	TAG_FAILED_STEP = 38, /* enum step */
	TAG_DETAIL = 39,
	TAG_EXIT_CODE = 40,
	TAG_EXIT_SIGNAL = 41,
	TAG_OOM_KILLED = 42,
	TAG_EXITED_AT = 43,
	TAG_LAST_LINE = 44, /* number of the last line of all */
	TAG_WARM_UPS = 45,  /* completed */
	TAG_FROZEN = 82,    /* 1: the workload stands still */
	TAG_RESUMED = 83,   /* nonce of the RESUME that was carried out */
	TAG_HOOK = 84,      /* 1: the image has a program to run before the workload goes on */
	TAG_CLOSE = 85,     /* of FREEZE and RESUME; 1: ends the connections with others */
	/* LOGS */
	TAG_LINE = 48, /* number (8), time (8), stream (1), text */
	/* of commands */
	TAG_EXEC = 56, /* number that the host chose; not 0 */
	TAG_CREDIT = 57,
	TAG_ROWS = 58,
	TAG_COLUMNS = 59,
	TAG_INPUT = 60, /* 1: standard input stays open */
	TAG_DATA = 61,
	TAG_END = 62,
	TAG_PID = 63, /* as the workload's processes see it */
	TAG_STREAM = 64,
	TAG_INTERRUPTED = 65, /* the workload has ended */
	/* of processes; PID begins each */
	TAG_PARENT = 72,
	TAG_COMMAND = 73,
	TAG_DIRECTORY = 74,
	TAG_CPU = 75,    /* microseconds, as the next two */
	TAG_SYSTEM = 76, /* part of CPU */
	TAG_RUN_TIME = 77,
	TAG_RESIDENT = 78, /* bytes */
	TAG_SOCKET = 79,   /* protocol, space, address:port; once per socket that it listens on */
	/* of ports */
	TAG_PORT = 80,
	TAG_PORT_STATE = 81, /* port (2), enum port_state (1) */
	/* of the API inside the machine */
	TAG_CONNECTION = 86, /* number that the guest chose; not 0 */
};

enum run_state { STATE_WAITING = 0, STATE_STARTING = 1, STATE_RUNNING = 2, STATE_EXITED = 3, STATE_FAILED = 4 };

enum stream { STREAM_STDOUT = 1, STREAM_STDERR = 2, STREAM_SYSTEM = 3 };

/* Whether somebody listens on a TCP port. */
enum port_state {
	PORT_CLOSED = 0,
	PORT_LOCAL = 1, /* only on addresses that the host does not reach, such as 127.0.0.1 */
	PORT_OPEN = 2,
};

/* The phases of a boot and a start. */
enum phase {
	PHASE_KERNEL = 1,  /* from the start of the kernel to init */
	PHASE_MODULES = 2, /* loading drivers, finding the channel */
	PHASE_NETWORK = 3,
	PHASE_SCRATCH = 4, /* scratch disk mounted */
	PHASE_DISK = 5,    /* from RUN until the root disk is mounted */
	PHASE_MOUNT = 6,   /* overlay and the kernel's file systems */
	PHASE_EXEC = 7,    /* user, working directory, exec */
	PHASE_COUNT
};

/* The steps at which a start can fail. */
enum step {
	STEP_REQUEST = 1, /* the RUN message itself */
	STEP_DISK = 2,
	STEP_MOUNT = 3,
	STEP_FILES = 4, /* /etc/hosts and the like */
	STEP_USER = 5,
	STEP_WORKING_DIR = 6,
	STEP_EXEC = 7,
	STEP_SYSTEM = 8, /* pipes, fork, identity */
	STEP_VOLUME = 9,
	STEP_FILE = 10,  /* a file that the host gave */
	STEP_LIMIT = 11, /* too many commands */
};

/* Runs a command as on an older processor: without AVX-512, or without AVX.
 *
 *     cc -O2 -o cpuid .ci/cpuid.c
 *     ./cpuid AVX2 go test ./tlkit/finetune
 *     ./cpuid SSE4_2 go test ./tlkit/finetune
 *
 * XLA_FLAGS=--xla_cpu_max_isa=... limits the code that XLA generates, and nothing else: YNNPACK and
 * Eigen, which compute its convolutions and products, ask the processor themselves. So does Go. Here
 * every program that the command starts is traced, its CPUID instructions trap (Linux on an Intel or
 * AMD processor that can fault on CPUID: "cpuid_fault" in /proc/cpuinfo), and the answer leaves out
 * what the older processor lacks.
 *
 * /proc/cpuinfo still shows the real processor. tlkit's cache of compiled programs is keyed by it, so
 * set TLKIT_CACHE to a folder of its own. Exit status: the command's; 125 where this does not work.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef ARCH_SET_CPUID
#define ARCH_SET_CPUID 0x1012
#endif
#define BIT(n) (1u << (n))

static int avx2; /* 0: SSE4.2 is the newest */
static pid_t first;
static int failed;

/* answer does what CPUID does, in the registers of a stopped thread. */
static void answer(struct user_regs_struct *r) {
	unsigned leaf = r->rax, sub = r->rcx, a, b, c, d;
	__cpuid_count(leaf, sub, a, b, c, d);
	if (leaf == 1 && !avx2)
		c &= ~(BIT(12) | BIT(28) | BIT(29)); /* FMA, AVX, F16C */
	if (leaf == 7 && sub == 0) {
		b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31)); /* AVX-512 */
		c &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
		d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)); /* and AMX */
		if (!avx2) {
			b &= ~BIT(5);
			c &= ~(BIT(9) | BIT(10)); /* VAES, VPCLMULQDQ */
		}
	}
	if (leaf == 7 && sub > 0)
		a = b = c = d = 0;
	r->rax = a, r->rbx = b, r->rcx = c, r->rdx = d;
	r->rip += 2;
}

/* one executes one instruction; a signal that comes meanwhile is kept for later. */
static int one(pid_t pid, int *later) {
	for (;;) {
		int status;
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, __WALL) < 0 || !WIFSTOPPED(status))
			return -1;
		if (WSTOPSIG(status) == SIGTRAP)
			return 0;
		*later = WSTOPSIG(status);
	}
}

/* arm has a thread that has just executed a program call arch_prctl(ARCH_SET_CPUID, 0), which execve
 * undoes and new threads and processes inherit. */
static void arm(pid_t pid) {
	struct user_regs_struct was, r;
	int later = 0;
	if (one(pid, &later)) /* out of execve */
		return;
	ptrace(PTRACE_GETREGS, pid, 0, &was);
	errno = 0;
	long word = ptrace(PTRACE_PEEKTEXT, pid, was.rip, 0);
	if (errno) {
		failed = errno;
		return;
	}
	ptrace(PTRACE_POKETEXT, pid, was.rip, (word & ~0xffffL) | 0x050f); /* syscall */
	r = was;
	r.rax = SYS_arch_prctl, r.rdi = ARCH_SET_CPUID, r.rsi = 0, r.orig_rax = -1;
	ptrace(PTRACE_SETREGS, pid, 0, &r);
	if (one(pid, &later))
		return;
	ptrace(PTRACE_GETREGS, pid, 0, &r);
	if ((long)r.rax)
		failed = -(int)r.rax;
	ptrace(PTRACE_POKETEXT, pid, was.rip, word);
	ptrace(PTRACE_SETREGS, pid, 0, &was);
	if (later)
		kill(pid, later);
}

/* stopped handles the stop of a thread and returns the signal that it goes on with. */
static int stopped(pid_t pid, int status) {
	int sig = WSTOPSIG(status);
	if (status >> 16) {
		if (status >> 16 == PTRACE_EVENT_EXEC)
			arm(pid);
		return 0;
	}
	if (sig == SIGSTOP) /* the stop that every new thread begins with */
		return 0;
	if (sig == SIGSEGV) {
		struct user_regs_struct r;
		ptrace(PTRACE_GETREGS, pid, 0, &r);
		errno = 0;
		long word = ptrace(PTRACE_PEEKTEXT, pid, r.rip, 0);
		if (!errno && (word & 0xffff) == 0xa20f) { /* cpuid */
			answer(&r);
			ptrace(PTRACE_SETREGS, pid, 0, &r);
			return 0;
		}
	}
	return sig;
}

static void pass(int sig) { kill(first, sig); }

int main(int n, char **args) {
	if (n < 3 || (strcmp(args[1], "AVX2") && strcmp(args[1], "SSE4_2"))) {
		fprintf(stderr, "usage: cpuid AVX2|SSE4_2 COMMAND [ARGUMENT...]\n");
		return 125;
	}
	avx2 = !strcmp(args[1], "AVX2");
	if (!(first = fork())) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0)) {
			perror("cpuid: ptrace");
			_exit(125);
		}
		raise(SIGSTOP);
		execvp(args[2], args + 2);
		perror(args[2]);
		_exit(127);
	}
	signal(SIGINT, SIG_IGN); /* the terminal sends it to the command as well */
	signal(SIGTERM, pass);
	int status, rc = 125;
	waitpid(first, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	ptrace(PTRACE_SETOPTIONS, first, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
	ptrace(PTRACE_CONT, first, 0, 0);
	for (;;) {
		pid_t pid = waitpid(-1, &status, __WALL);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			break;
		if (!WIFSTOPPED(status)) {
			if (pid == first)
				rc = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		int sig = stopped(pid, status);
		if (failed) {
			fprintf(stderr, "cpuid: this machine cannot hide what its processor can do: %s\n", strerror(failed));
			return 125; /* and EXITKILL ends the rest */
		}
		ptrace(PTRACE_CONT, pid, 0, sig);
	}
	return rc;
}

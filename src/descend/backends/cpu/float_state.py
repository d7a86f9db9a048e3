"""The floating-point control state of threads, in the words of each processor family."""

from descend.backends.cpu.context import CONTEXT

_AT = CONTEXT.place("float_state")
FLOAT_STATE = {
    "x86_64": {
        "declare": "declare void @llvm.x86.sse.stmxcsr(ptr)\ndeclare void @llvm.x86.sse.ldmxcsr(ptr)",
        "remember": f"%fp.c = getelementptr i64, ptr %ctx, i64 {_AT}\n  call void @llvm.x86.sse.stmxcsr(ptr %fp.c)",
        "adopt": (
            "%own = alloca i32\n  call void @llvm.x86.sse.stmxcsr(ptr %own)\n"
            f"  %fp.c = getelementptr i64, ptr %ctx, i64 {_AT}\n  call void @llvm.x86.sse.ldmxcsr(ptr %fp.c)"
        ),
        "restore": "call void @llvm.x86.sse.ldmxcsr(ptr %own)",
    },
    "aarch64": {
        "declare": "",
        "remember": (
            f"%fp.c = getelementptr i64, ptr %ctx, i64 {_AT}\n"
            '  %fp = call i64 asm sideeffect "mrs $0, fpcr", "=r"()\n  store i64 %fp, ptr %fp.c'
        ),
        "adopt": (
            '%own = call i64 asm sideeffect "mrs $0, fpcr", "=r"()\n'
            f"  %fp.c = getelementptr i64, ptr %ctx, i64 {_AT}\n  %fp = load i64, ptr %fp.c\n"
            '  call void asm sideeffect "msr fpcr, $0", "r"(i64 %fp)'
        ),
        "restore": 'call void asm sideeffect "msr fpcr, $0", "r"(i64 %own)',
    },
}
"""Workers take over the caller's flush-to-zero mode, or ``torch.set_flush_denormal`` would split results by thread."""
OWN_STATE = {"declare": "", "remember": "", "adopt": "", "restore": ""}
"""On other processors each thread keeps its own."""

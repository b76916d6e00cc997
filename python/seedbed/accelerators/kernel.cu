// The values of elements, in CUDA C. seedbed/accelerators/cuda.py puts the engine's tables before it, and compiles it.
//
// Steps 3 to 11 of docs/streams.md. Each floating point operation is an intrinsic that rounds by itself, so that no compiler
// fuses two of them. A group of threads makes the words of one block of the keystream each; then they take the elements of
// all these blocks in turn, so that neighbours write to neighbouring memory.
//
// Compiled as C++ for a CPU, with the intrinsics as functions, this is what tests compare with the engine.

typedef unsigned int u32;
typedef unsigned long long u64;

#define GROUP 128  // number of threads of a group
#define BLOCK 16   // number of words of a block
#define STRIDE 17  // number of words from one block to the next in shared memory: threads then use different banks

// What is the same for all elements.
struct Arguments {
    u32 key[8];
    u32 stream[2];
    double center;
    double scale;
    float least;
    float greatest;
    u64 length;  // number of elements of a run
    u64 blocks;  // number of blocks that a run may touch
    u64 count;   // number of blocks of all runs
};

enum Kind { UNIFORM, TRUNCATED_NORMAL, NORMAL };
enum Dtype { FLOAT32, BFLOAT16, FLOAT16 };

// What the threads of a group share.
struct Shared {
    u32 words[GROUP * STRIDE];
    u64 block[GROUP];           // number of a thread's block
    long long place[GROUP];     // index in the output of the element of the block's first word
    int begin[GROUP];           // the first word that is an element's
    int end[GROUP];             // the word behind the last one
    u32 table[MAX_COEFFICIENTS * 16];
};

__device__ inline u32 rotate(u32 x, int bits) { return x << bits | x >> (32 - bits); }

__device__ inline void quarter_round(u32& a, u32& b, u32& c, u32& d) {
    a += b; d = rotate(d ^ a, 16);
    c += d; b = rotate(b ^ c, 12);
    a += b; d = rotate(d ^ a, 8);
    c += d; b = rotate(b ^ c, 7);
}

// The sixteen words of a block.
__device__ inline void keystream(const Arguments& to, u64 block, u32* x) {
    const u32 before[BLOCK] = {
        0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, to.key[0], to.key[1], to.key[2], to.key[3],
        to.key[4], to.key[5], to.key[6], to.key[7], (u32)block, (u32)(block >> 32), to.stream[0], to.stream[1],
    };
#pragma unroll
    for (int i = 0; i < BLOCK; i++) x[i] = before[i];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        quarter_round(x[0], x[4], x[8], x[12]);
        quarter_round(x[1], x[5], x[9], x[13]);
        quarter_round(x[2], x[6], x[10], x[14]);
        quarter_round(x[3], x[7], x[11], x[15]);
        quarter_round(x[0], x[5], x[10], x[15]);
        quarter_round(x[1], x[6], x[11], x[12]);
        quarter_round(x[2], x[7], x[8], x[13]);
        quarter_round(x[3], x[4], x[9], x[14]);
    }
#pragma unroll
    for (int i = 0; i < BLOCK; i++) x[i] += before[i];
}

// A polynomial by row: the coefficients of each power have `rows` entries.
__device__ inline float polynomial(const u32* coefficients, int degree, int rows, u32 row, float f) {
    float x = __uint_as_float(coefficients[degree * rows + row]);
#pragma unroll
    for (int power = degree - 1; power >= 0; power--) {
        x = __fadd_rn(__fmul_rn(x, f), __uint_as_float(coefficients[power * rows + row]));
    }
    return x;
}

__device__ inline float half(const u32* table, float offset, int shift, const u32* origin, int degree, u32 rest) {
    float y = __fadd_rn(__int2float_rn((int)rest), offset);
    u32 row = __float_as_uint(y) >> shift & 15;
    float f = __fmul_rn(__int2float_rn((int)(origin[row] - 2 * rest)), 0x1p-32f);
    return polynomial(table, degree, 16, row, f);
}

// The low word of an element, as the position of its word in a block.
__device__ inline u32 low_word(const Arguments& to, u64 block, int word) {
    u32 x[BLOCK];
    keystream(to, block ^ 1ull << 63, x);
    u32 found = 0;
#pragma unroll
    for (int i = 0; i < BLOCK; i++) found = i == word ? x[i] : found;  // no index but constants: x stays in registers
    return found;
}

__device__ inline float tail(const Arguments& to, u64 block, int word, u32 rest, u32 upper) {
    u32 below = rest < TAIL_OUTER ? low_word(to, block, word) ^ upper : 1u << 31;
    float y = __fadd_rn(__int2float_rn((int)rest), __fmul_rn(__fadd_rn(__uint2float_rn(below), 0.5f), 0x1p-32f));
    u32 bits = __float_as_uint(y), unit = 1u << TAIL_SHIFT;
    float f = __fmul_rn(__int2float_rn((int)(unit - (bits & (unit - 1)))), 1.0f / (1u << TAIL_SHIFT));
    return polynomial(TAIL_COEFFICIENTS, TAIL_DEGREE, TAIL_ROWS, (bits >> TAIL_SHIFT) - TAIL_FIRST, f);
}

template <Kind KIND>
__device__ inline float value(const Arguments& to, const u32* table, u64 block, int word, u32 high) {
    float v;
    if (KIND == UNIFORM) {
        double x = __dadd_rn(__int2double_rn((int)(high ^ 1u << 31)), 0.5);
        v = __double2float_rn(__dadd_rn(__dmul_rn(x, __dmul_rn(to.scale, 0x1p-31)), to.center));
    } else {
        u32 upper = 0u - (high >> 31), rest = high ^ upper;
        float x;
        if (KIND == NORMAL && rest < TAIL_BELOW) {
            x = tail(to, block, word, rest, upper);
        } else if (KIND == NORMAL) {
            x = half(table, NORMAL_OFFSET, NORMAL_SHIFT, NORMAL_ORIGIN, NORMAL_DEGREE, rest);
        } else {
            x = half(table, TRUNCATED_OFFSET, TRUNCATED_SHIFT, TRUNCATED_ORIGIN, TRUNCATED_DEGREE, rest);
        }
        x = __uint_as_float(__float_as_uint(x) ^ (~high & 1u << 31));
        v = __fadd_rn(__fmul_rn(x, __double2float_rn(to.scale)), __double2float_rn(to.center));
    }
    if (KIND == NORMAL) return v;
    return v < to.least ? to.least : v > to.greatest ? to.greatest : v;
}

// The bits of a number as bfloat16: to nearest, ties to even.
__device__ inline u32 as_bfloat16(u32 bits) { return (bits + 0x7fff + (bits >> 16 & 1)) >> 16; }

// The bits of a number as float16. Conversions might flush subnormal numbers.
__device__ inline u32 as_float16(u32 bits) {
    u32 size = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
    if (size >= 0x38800000) return sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    u32 exponent = size >> 23, lost = exponent > 101 ? 126 - exponent : 25;  // bits of the mantissa below 2^-24
    u32 mantissa = (size & 0x7fffff) | 0x800000;
    return sign | (mantissa + (1u << (lost - 1)) - 1 + (mantissa >> lost & 1)) >> lost;
}

template <Dtype DTYPE>
__device__ inline void store(void* out, long long place, float x) {
    u32 bits = __float_as_uint(x);
    if (DTYPE == FLOAT32) ((u32*)out)[place] = bits;
    if (DTYPE == BFLOAT16) ((unsigned short*)out)[place] = (unsigned short)as_bfloat16(bits);
    if (DTYPE == FLOAT16) ((unsigned short*)out)[place] = (unsigned short)as_float16(bits);
}

// First step: a thread makes the words of its block.
template <Kind KIND>
__device__ inline void make_words(Shared& shared, int thread, u64 group, const u64* firsts, const Arguments& to) {
    const u32* table = KIND == NORMAL ? NORMAL_COEFFICIENTS : TRUNCATED_COEFFICIENTS;
    int size = KIND == UNIFORM ? 0 : 16 * ((KIND == NORMAL ? NORMAL_DEGREE : TRUNCATED_DEGREE) + 1);
    for (int i = thread; i < size; i += GROUP) shared.table[i] = table[i];
    u64 mine = group * GROUP + thread;
    shared.begin[thread] = shared.end[thread] = 0;
    if (mine >= to.count) return;
    u64 run = to.blocks == to.count ? 0 : mine / to.blocks, at = (mine - run * to.blocks) * BLOCK;
    u64 first = firsts[run], skipped = first % BLOCK, last = skipped + to.length;
    if (at >= last) return;
    shared.block[thread] = first / BLOCK + at / BLOCK;
    shared.place[thread] = (long long)(run * to.length + at) - (long long)skipped;
    shared.begin[thread] = at < skipped ? (int)(skipped - at) : 0;
    shared.end[thread] = last - at < BLOCK ? (int)(last - at) : BLOCK;
    u32 x[BLOCK];
    keystream(to, shared.block[thread], x);
#pragma unroll
    for (int i = 0; i < BLOCK; i++) shared.words[thread * STRIDE + i] = x[i];
}

// Second step: a thread takes every GROUP-th element.
template <Kind KIND, Dtype DTYPE>
__device__ inline void make_values(const Shared& shared, int thread, void* out, const Arguments& to) {
#pragma unroll 4
    for (int i = thread; i < GROUP * BLOCK; i += GROUP) {
        int owner = i / BLOCK, word = i % BLOCK;
        if (word < shared.begin[owner] || word >= shared.end[owner]) continue;
        u32 high = shared.words[owner * STRIDE + word];
        float x = value<KIND>(to, shared.table, shared.block[owner], word, high);
        store<DTYPE>(out, shared.place[owner] + word, x);
    }
}

#ifdef __CUDACC__
#define KERNEL(NAME, KIND, DTYPE)                                                                        \
    extern "C" __global__ void __launch_bounds__(GROUP)                                                  \
        NAME(void* out, const u64* firsts, const Arguments to) {                                         \
        __shared__ Shared shared;                                                                        \
        make_words<KIND>(shared, threadIdx.x, blockIdx.x, firsts, to);                                   \
        __syncthreads();                                                                                 \
        make_values<KIND, DTYPE>(shared, threadIdx.x, out, to);                                          \
    }
#else
#define KERNEL(NAME, KIND, DTYPE)                                                                        \
    extern "C" void NAME(void* out, const u64* firsts, const Arguments to) {                             \
        Shared shared;                                                                                   \
        for (u64 group = 0; group * GROUP < to.count; group++) {                                         \
            for (int i = 0; i < GROUP; i++) make_words<KIND>(shared, i, group, firsts, to);              \
            for (int i = 0; i < GROUP; i++) make_values<KIND, DTYPE>(shared, i, out, to);                \
        }                                                                                                \
    }
#endif

#define KERNELS(NAME, KIND)                        \
    KERNEL(NAME##_float32, KIND, FLOAT32)          \
    KERNEL(NAME##_bfloat16, KIND, BFLOAT16)        \
    KERNEL(NAME##_float16, KIND, FLOAT16)

KERNELS(uniform, UNIFORM)
KERNELS(truncated_normal, TRUNCATED_NORMAL)
KERNELS(normal, NORMAL)

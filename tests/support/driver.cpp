// A driver of CUDA that has no device: it runs the kernels, which come before it, on the CPU. Tests load it as libcuda.so.1.

#include <dlfcn.h>

extern "C" {

typedef int CUresult;
typedef void (*Kernel)(void*, const u64*, const Arguments);

CUresult cuInit(unsigned int) { return 0; }

CUresult cuDriverGetVersion(int* version) {
    *version = 13000;
    return 0;
}

// The code of a real architecture begins as all ELF files do.
CUresult cuModuleLoadData(void** module, const void* image) {
    *module = (void*)image;
    return memcmp(image, "\177ELF", 4) == 0 ? 0 : 200;
}

CUresult cuModuleGetFunction(void** function, void*, const char* name) {
    *function = dlsym(RTLD_DEFAULT, name);
    if (!*function) {
        Dl_info own;
        dladdr((void*)cuInit, &own);
        *function = dlsym(dlopen(own.dli_fname, RTLD_LAZY), name);
    }
    return *function ? 0 : 500;
}

CUresult cuLaunchKernel(void* function, unsigned int x, unsigned int y, unsigned int z, unsigned int threads, unsigned int,
                        unsigned int, unsigned int, void*, void** parameters, void**) {
    Arguments to = *(Arguments*)parameters[2];
    if (x != (to.count + GROUP - 1) / GROUP || y != 1 || z != 1 || threads != GROUP) return 1;
    ((Kernel)function)(*(void**)parameters[0], *(const u64**)parameters[1], to);
    return 0;
}

CUresult cuGetErrorString(CUresult, const char** text) {
    *text = "an error";
    return 0;
}

CUresult cuGetProcAddress_v2(const char* name, void** found, int, unsigned long long, void*) {
    Dl_info own;
    dladdr((void*)cuInit, &own);
    *found = dlsym(dlopen(own.dli_fname, RTLD_LAZY), name);
    return *found ? 0 : 500;
}

CUresult cuGetProcAddress(const char* name, void** found, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, found, version, flags, nullptr);
}

}

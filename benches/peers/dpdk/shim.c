/* rte_hash as its manual shows it: 8-byte keys, one writer, the default hash function (CRC32 in hardware). */
#include <stdint.h>
#include <stddef.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>
#include <rte_memory.h>

/* Without huge pages of its own, DPDK's memory is ordinary memory: it gets the same transparent huge pages as the rest. */
static int advise(const struct rte_memseg_list *list, void *unused)
{
    (void)unused;
    return list->external ? 0 : madvise(list->base_va, list->len, MADV_HUGEPAGE);
}

int shim_init(void)
{
    char *arguments[] = {"peers", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "--log-level=error",
                         "--lcores=0", "-m", "256"};
    if (rte_eal_init(sizeof arguments / sizeof *arguments, arguments) < 0)
        return -1;
    rte_memseg_list_walk(advise, NULL);
    return 0;
}

struct rte_hash *shim_create(const char *name, uint32_t entries, uint64_t seed)
{
    struct rte_hash_parameters parameters = {
        .name = name,
        .entries = entries,
        .key_len = sizeof(uint64_t),
        .hash_func = rte_hash_crc,
        .hash_func_init_val = (uint32_t)seed,
        .socket_id = SOCKET_ID_ANY,
    };
    return rte_hash_create(&parameters);
}

int shim_add(const struct rte_hash *table, uint64_t key, uint64_t value)
{
    return rte_hash_add_key_data(table, &key, (void *)(uintptr_t)value);
}

int shim_remove(const struct rte_hash *table, uint64_t key)
{
    return rte_hash_del_key(table, &key);
}

/* One call for all keys, so that the language border costs nothing. */
uint64_t shim_hits(const struct rte_hash *table, const uint64_t *keys, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        void *value;
        sum ^= rte_hash_lookup_data(table, &keys[i], &value) >= 0 ? (uint64_t)(uintptr_t)value : 1;
    }
    return sum;
}

/* The answer of each look-up goes into the next one's key. */
uint64_t shim_hits_dependent(const struct rte_hash *table, const uint64_t *keys, size_t count)
{
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = keys[i] ^ last;
        void *value;
        last = rte_hash_lookup_data(table, &key, &value) >= 0 ? (uint64_t)(uintptr_t)value : 1;
    }
    return last;
}

uint64_t shim_hits_bulk(const struct rte_hash *table, const uint64_t *keys, size_t count)
{
    enum { BULK = 32 };
    uint64_t sum = 0;
    for (size_t i = 0; i + BULK <= count; i += BULK) {
        const void *pointers[BULK];
        void *values[BULK];
        uint64_t mask = 0;
        for (size_t j = 0; j < BULK; j++)
            pointers[j] = &keys[i + j];
        rte_hash_lookup_bulk_data(table, pointers, BULK, &mask, values);
        for (size_t j = 0; j < BULK; j++)
            sum ^= mask >> j & 1 ? (uint64_t)(uintptr_t)values[j] : 1;
    }
    return sum;
}

uint64_t shim_memory(void)
{
    struct rte_malloc_socket_stats stats;
    return rte_malloc_get_socket_stats(0, &stats) ? 0 : stats.heap_allocsz_bytes;
}

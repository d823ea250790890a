#include "runtime/docker/build_context.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "base/error.h"

namespace trailer::runtime::docker {
namespace {

la_ssize_t append(archive*, void* out, const void* data, std::size_t size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
}

void check(int result, archive* writer) {
    if (result == ARCHIVE_OK) return;
    const char* why = archive_error_string(writer);
    throw Error(ErrorKind::internal, "writing a build context: {}",
                why != nullptr ? why : "unknown");
}

}  // namespace

std::string build_context(std::string_view dockerfile) {
    std::string out;
    const std::unique_ptr<archive, decltype(&archive_write_free)> writer(archive_write_new(),
                                                                         &archive_write_free);
    check(archive_write_set_format_ustar(writer.get()), writer.get());
    check(archive_write_open(writer.get(), &out, nullptr, &append, nullptr), writer.get());
    const std::unique_ptr<archive_entry, decltype(&archive_entry_free)> entry(archive_entry_new(),
                                                                              &archive_entry_free);
    archive_entry_set_pathname(entry.get(), "Dockerfile");
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(dockerfile.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    check(archive_write_header(writer.get(), entry.get()), writer.get());
    if (archive_write_data(writer.get(), dockerfile.data(), dockerfile.size()) < 0) {
        check(ARCHIVE_FATAL, writer.get());
    }
    check(archive_write_close(writer.get()), writer.get());
    return out;
}

}  // namespace trailer::runtime::docker

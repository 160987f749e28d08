#include "src/output/run_folder.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "kernels/errors.hpp"

namespace tramontane {
namespace {

namespace fs = std::filesystem;

/// Permission bits do not tell (root, read-only mounts, quotas): writing a file does.
std::string why_no_file_in(const fs::path& folder) {
  const fs::path probe = folder / fmt::format(".tramontane-probe-{}", getpid());
  errno = 0;
  std::ofstream out(probe);
  out << "probe\n";
  out.close();
  const std::string reason = out ? "" : std::strerror(errno);
  std::error_code ignored;
  fs::remove(probe, ignored);
  return reason;
}

}  // namespace

std::string why_not_writable(const fs::path& folder) {
  std::error_code error;
  fs::path existing = fs::absolute(folder, error).lexically_normal();
  while (!existing.empty() && !fs::exists(existing, error) && existing != existing.root_path())
    existing = existing.parent_path();
  if (!fs::is_directory(existing, error)) return existing.string() + " is not a folder";
  const std::string reason = why_no_file_in(existing);
  return reason.empty() ? "" : existing.string() + ": " + reason;
}

namespace {

/// `value` is what the key says.
void prepare_folder(const Deck& deck, const char* key, const std::string& value, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  std::string reason;
  if (error || !fs::is_directory(folder))
    reason = error ? error.message() : "a file of that name is in the way";
  else
    reason = why_no_file_in(folder);
  if (!reason.empty())
    throw InputError(fmt::format("{}{} = {} can not be written to ({}): choose another folder", deck.where(key), key,
                                 value, reason));
}

}  // namespace

void prepare_output_folder(const Deck& deck) {
  prepare_folder(deck, "output.dir", deck.output.dir, deck.output.dir);
}

void prepare_archive_folder(const Deck& deck) {
  if (deck.stream.archive)
    prepare_folder(deck, "stream.archive", *deck.stream.archive, fs::absolute(*deck.stream.archive).parent_path());
}

void write_whole_file(const fs::path& path, const std::string& text) {
  const fs::path aside = path.string() + ".part";
  std::ofstream out(aside, std::ios::binary);
  out << text;
  out.close();
  std::error_code error;
  if (out) fs::rename(aside, path, error);
  if (!out || error)
    throw RunError(fmt::format("cannot write {} ({}): is the disk full?", path.string(),
                               error ? error.message() : std::strerror(errno)));
}

void write_resolved_deck(const Deck& deck) {
  const std::string head = "# The deck as resolved by tramontane " TRAMONTANE_VERSION ", read from " + deck.file + "\n";
  write_whole_file(fs::path(deck.output.dir) / "deck.yaml", head + dump_deck(deck));
}

}  // namespace tramontane

/// The folder that everything a run writes goes into.
#pragma once

#include <filesystem>
#include <string>

#include "src/deck/deck.hpp"

namespace tramontane {

/// Makes output.dir where it is missing and proves that files can be written there. Call on one rank.
/// Throws InputError saying what stands in the way.
void prepare_output_folder(const Deck& deck);
/// The same for the folder of stream.archive, when the deck names one.
void prepare_archive_folder(const Deck& deck);

/// What stands in the way of writing into the folder, or "" when nothing does. Leaves nothing behind: folders that do
/// not exist are not made, the nearest one that does is tried.
std::string why_not_writable(const std::filesystem::path& folder);

/// Writes the text into a file beside the path and renames it, so that the path never holds half a file.
/// Throws RunError when that fails (disk full).
void write_whole_file(const std::filesystem::path& path, const std::string& text);

/// Writes the deck as resolved to output.dir/deck.yaml.
void write_resolved_deck(const Deck& deck);

}  // namespace tramontane

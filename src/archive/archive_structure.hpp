/// All of an archive's file but the samples' values: what a kill in the middle of a flush may leave in pieces.
///
/// HDF5 writes the values of a sample once and never moves them; everything else (headers, indices of chunks, series,
/// checksums) it changes in place at every flush. With a copy of that as of one flush the file is brought back to that
/// flush, whatever was written since: the samples of then, every byte. The copy is a few per cent of the file.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tramontane {

/// Of a file that was flushed and is not written to meanwhile. Call on one rank. Throws RunError.
std::vector<std::byte> archive_structure(const std::string& path);

/// Brings the file back to the flush that `structure` was taken at, and its length, too. Call on one rank while nobody has the
/// file open for writing. Throws RunError, before anything is changed when the structure is not whole or the file is
/// shorter than its samples are.
void restore_archive_structure(const std::string& path, std::span<const std::byte> structure);

}  // namespace tramontane

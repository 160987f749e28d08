/// What a rank's core or device can do at most, measured: the two roofs of a roofline.
#pragma once

#include <mpi.h>

#include <nlohmann/json.hpp>

namespace tramontane {

/// Bandwidth of the STREAM triad a = b + s c (McCalpin 1995), 3 numbers of type Real an element as STREAM counts, B/s,
/// on arrays that no cache holds and on arrays that a private cache of 1 MB holds; and multiply-adds in registers, two
/// operations each, operations/s. One rank's share, all ranks measuring at the same time. Collective.
/// @param budget seconds for each of the three
nlohmann::ordered_json measure_machine_limits(MPI_Comm comm, double budget);

}  // namespace tramontane

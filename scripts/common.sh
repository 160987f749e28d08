# shellcheck shell=bash
# What the scripts share. Source it; it moves to the root of the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# One line that stands out in a long log.
say() { printf '\n==> %s\n' "$*"; }

# step TITLE COMMAND...: says what is done, does it, says how long it took.
step() {
  local title=$1 start=$SECONDS status=0
  shift
  say "$title"
  "$@" || status=$?
  printf '    %s: %d min %02d s\n' "$title" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
  return $status
}

# Cores this process may use; nproc alone would answer with OMP_NUM_THREADS where that is set.
cores() { env -u OMP_NUM_THREADS nproc; }

# How many files to compile at once: no more than the cores there are, nor than the memory holds (1.5 GB a compiler).
build_jobs() {
  local cores memory
  cores=$(cores)
  memory=$(awk '/MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

# Builds the preset `release` in build/release.
configure_release() {
  local launcher=()
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  cmake --preset release "${launcher[@]}"
}
build_release() { cmake --build --preset release -j "$(build_jobs)"; }

# Open MPI: refuses root unless told; one thread a rank, since every rank has its core; and copies between processes
# through shared memory, because containers often forbid the kernel's direct copy.
mpi_environment() {
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
  export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
}

# tramontane_test(<name> LINK <libs...> [RANKS <n...>] [TIMEOUT <s>])
# Builds test_<name> from every *.cpp of the current folder and registers it with CTest:
#   <name>           all suites but those named Parallel*, on one rank
#   <name>.ranks<n>  the Parallel* suites on n ranks
function(tramontane_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "LINK;RANKS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_executable(test_${name} ${sources} "${PROJECT_SOURCE_DIR}/tests/main.cpp")
  target_link_libraries(test_${name} PRIVATE ${arg_LINK} GTest::gtest)
  target_compile_definitions(test_${name} PRIVATE
    TRAMONTANE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" TRAMONTANE_PROGRAM="$<TARGET_FILE:tramontane>")
  set(environment "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1"
                  "OMPI_MCA_rmaps_base_oversubscribe=1;OMPI_MCA_mpi_yield_when_idle=1"
                  "OMPI_MCA_btl_base_warn_component_unused=0")
  add_test(NAME ${name} COMMAND test_${name} --gtest_filter=-Parallel*)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${environment}")
  foreach(ranks ${arg_RANKS})
    add_test(NAME ${name}.ranks${ranks}
             COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} --oversubscribe
                     $<TARGET_FILE:test_${name}> --gtest_filter=Parallel*)
    set_tests_properties(${name}.ranks${ranks} PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${environment}"
                                                          PROCESSORS ${ranks})
  endforeach()
endfunction()

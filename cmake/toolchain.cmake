# Flags that every target shares. Kept in one place: the precompiled header is only reusable by
# targets that are compiled with exactly the same flags.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast
                    -Wunused -Woverloaded-virtual -Wimplicit-fallthrough
                    -Wno-missing-field-initializers -Wno-missing-designated-field-initializers
                    -ffunction-sections -fdata-sections -fno-omit-frame-pointer)
add_compile_options("$<$<BOOL:${TRAILER_WERROR}>:-Werror>")
add_link_options(-fuse-ld=mold -Wl,--gc-sections)

if(TRAILER_SANITIZE)
  add_compile_options(-fsanitize=${TRAILER_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TRAILER_SANITIZE})
elseif(TRAILER_STATIC)
  add_link_options(-static-libstdc++ -static-libgcc)
endif()
if(TRAILER_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(TRAILER_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # pch_defines and time_macros let ccache see through the precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE})
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
endif()

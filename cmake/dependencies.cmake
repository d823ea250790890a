# Every library that Trailer uses; docs/dependencies.md says what for and why. Static archives where
# Debian ships them, so that the binary needs only libc on the host.
if(TRAILER_STATIC)
  set(Boost_USE_STATIC_LIBS ON)
  set(OPENSSL_USE_STATIC_LIBS ON)
  set(static_suffix .a)
else()
  set(static_suffix .so)
endif()
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL REQUIRED)
find_package(fmt REQUIRED)

function(trailer_import name)
  find_library(${name}_path NAMES lib${name}${static_suffix} ${name} REQUIRED)
  add_library(dep::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(dep::${name} PROPERTIES IMPORTED_LOCATION ${${name}_path})
  if(ARGN)
    target_link_libraries(dep::${name} INTERFACE ${ARGN})
  endif()
endfunction()

trailer_import(yaml-cpp)
trailer_import(sqlite3 Threads::Threads ${CMAKE_DL_LIBS} m)
trailer_import(SQLiteCpp dep::sqlite3)
trailer_import(sodium Threads::Threads)

# Asio and Beast are compiled once, in cmake/asio.cpp and src/net/beast.cpp.
add_library(dep_asio INTERFACE)
target_compile_definitions(dep_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
                           BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_HAS_CO_AWAIT)
target_link_libraries(dep_asio INTERFACE Boost::headers Threads::Threads)

# Of libarchive only what reads and writes tar is used, and a static link takes in only that: none of
# the compression libraries that the shared library drags along.
trailer_import(archive)

// A directory that stands for a host's root in tests: /etc, /proc/self and marker files.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/crypto.h"

namespace trailer::agent {

class HostTree {
  public:
    HostTree()
        : root_(std::filesystem::path(testing::TempDir()) / ("host-" + to_hex(random_bytes(6)))) {
        std::filesystem::create_directories(root_);
    }
    ~HostTree() { std::filesystem::remove_all(root_); }
    HostTree(const HostTree&) = delete;
    HostTree& operator=(const HostTree&) = delete;

    const std::filesystem::path& root() const { return root_; }

    void put(const std::filesystem::path& file, std::string_view text = "") const {
        std::filesystem::create_directories((root_ / file).parent_path());
        std::ofstream(root_ / file) << text;
    }

    // What Docker 20.10 shows inside a container of its own (cgroup v2, private namespace).
    void make_docker_container(const std::string& id) const {
        put(".dockerenv");
        put("proc/self/cgroup", "0::/\n");
        put("proc/self/mountinfo",
            "812 771 0:66 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/x\n"
            "830 812 254:0 /var/lib/docker/containers/" +
                id +
                "/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda rw\n"
                "831 812 254:0 /var/lib/docker/containers/" +
                id + "/hostname /etc/hostname rw - ext4 /dev/vda rw\n");
        put("etc/hostname", id.substr(0, 12) + "\n");
    }

  private:
    std::filesystem::path root_;
};

}  // namespace trailer::agent

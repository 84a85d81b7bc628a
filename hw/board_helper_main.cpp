// fewwatt_board_helper: sets a board's clocks for fewwatt, which starts it as root with a socket as descriptor 3, and then becomes
// the user who called sudo. It takes what BoardServer takes, puts the clocks back when the socket is closed or on SIGTERM and
// SIGHUP, and ends: exit code 0 when all is as before, 1 when not, 2 without a socket.

#include <sys/prctl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "hw/jetson/board_server.hpp"
#include "hw/version.hpp"

namespace {

volatile std::sig_atomic_t told_to_stop = 0;

bool is_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    std::printf("fewwatt %s (%s)\n", std::string(fewwatt::hw::version()).c_str(),
                std::string(fewwatt::hw::git_revision()).c_str());
    return 0;
  }
  constexpr int kSocket = 3;
  if (!is_socket(kSocket)) {
    std::fputs("fewwatt_board_helper: fewwatt starts this program itself, with a socket as descriptor 3\n",
               stderr);
    return 2;
  }
  // Nothing that it could start gets more rights; it starts nothing.
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  struct sigaction action = {};
  action.sa_handler = SIG_IGN;
  for (const int signal : {SIGINT, SIGQUIT, SIGPIPE, SIGXFSZ}) sigaction(signal, &action, nullptr);
  action.sa_handler = [](int) { told_to_stop = 1; };
  sigset_t stopping, while_waiting;
  sigemptyset(&stopping);
  for (const int signal : {SIGTERM, SIGHUP}) {
    sigaction(signal, &action, nullptr);
    sigaddset(&stopping, signal);
  }
  sigprocmask(SIG_BLOCK, &stopping, &while_waiting);
  fewwatt::hw::DirectAccess access;
  fewwatt::hw::SystemMonotonic time;
  fewwatt::hw::BoardServer server(access, time, true);
  return server.serve(kSocket, while_waiting, [] { return told_to_stop != 0; }) ? 0 : 1;
} catch (const std::exception&) {
  return 1;
}

#include "learners/programs/live_page.hpp"

#include <iostream>
#include <utility>

namespace fewwatt::program {

void add_live_option(Manual& manual, std::optional<std::string>& address) {
  constexpr const char* kName = "live";
  const auto any_port = live::Address().text();
  manual.options.add_options()(
      kName,
      po::value<std::string>()
          ->implicit_value(any_port, "")
          ->notifier([&address](const std::string& value) { address = value; })
          ->value_name("[ADDRESS:PORT]"),
      "show what arrives on a page that a browser can watch meanwhile; at a free port of "
      "this machine if no address is given, and with a token in the page's address if it "
      "can be reached from others");
  manual.is_its_value[kName] = live::is_meant_as_address;
}

LivePage::LivePage(const std::optional<std::string>& address) {
  if (address) server_.emplace(as_usage([&] { return live::parse_address(*address); }));
}

void LivePage::show(view::Page::Entry entry) {
  if (!server_) return;
  view::Page page;
  page.entries.push_back(std::move(entry));
  page.live = server_->run();
  server_->start(view::to_html(page));
  std::cerr << "watch at " << server_->url() << '\n';
}

void LivePage::add(std::string row) {
  if (server_) server_->push(std::move(row));
}

}  // namespace fewwatt::program

#pragma once
/// The Clever-shaped API, one file per resource.

#include "api/endpoint.hpp"

namespace karreg::api {
class EventHub;
}

namespace karreg::api::clever {

void add_account(Routes& routes);           ///< account.cpp: self, tokens, summary, products, zones
void add_applications(Routes& routes);      ///< applications.cpp
void add_environment(Routes& routes);       ///< environment.cpp
void add_vhosts(Routes& routes);            ///< vhosts.cpp
void add_rules(Routes& routes);             ///< rules.cpp: what the proxy keeps for an application
void add_certificates(Routes& routes);      ///< certificates.cpp
void add_tcp_redirections(Routes& routes);  ///< tcp_redirections.cpp: ports of TCP services
void add_deployments(
    Routes& routes);            ///< deployments.cpp: deployments, instances, restart, stop, cancel
void add_jobs(Routes& routes);  ///< jobs.cpp: tasks, crons, release commands
void add_images(Routes& routes);  ///< images.cpp: apps on older images, and rolls
void add_logs(Routes& routes, const Services& services);                   ///< logs.cpp
void add_events(Routes& routes, const Services& services, EventHub& hub);  ///< events.cpp

}  // namespace karreg::api::clever

// Made by gatewayctl for the device "mymkr".
// Enter the name and the password of your network; the rest is complete.
#ifndef ARDUINO_SECRETS_H
#define ARDUINO_SECRETS_H

#define SECRET_SSID   "name of your network"
#define SECRET_PASS   "password of your network"
#define SECRET_BROKER "gateway.local" // a name in the gateway's certificate
#define SECRET_PORT   8883
#define SECRET_SLOT   0 // of the key in the crypto chip

// For setEccSlot(SECRET_SLOT, SECRET_CERTIFICATE). Keep every line as it is, also
// the line break after the last one: without it the board cannot sign.
const char SECRET_CERTIFICATE[] = R"(
-----BEGIN CERTIFICATE-----
MIIBGzCBwwIUI08vtg2QCmvbUSHj/TOwob5izrgwCgYIKoZIzj0EAwIwEjEQMA4G
A1UEAwwHVGVzdCBDQTAeFw0yNjExMjMxMTIxMTNaFw00ODEwMTgxMTIxMTNaMBAx
DjAMBgNVBAMMBW15bWtyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9ReSYDZs
7l/FEdAio9sJmKyLCZlDPicVMytBc7uy3ZC/THTLuPw3uuxRZP02qgGyiYvaXHvE
4I0qlEuadXuQNDAKBggqhkjOPQQDAgNHADBEAiBOHh8Ac64FPuHKnBfDD9mt34rQ
lboichSqZh5EMgyyCQIgG+1iIIjgDsQGeSq79Pmj7IQjDhM4/qQ95p9Lz98BUHY=
-----END CERTIFICATE-----
)";

#endif

import java.net.InetSocketAddress;
import net.kyori.adventure.text.Component;
import net.minestom.server.Auth;
import net.minestom.server.MinecraftServer;
import net.minestom.server.coordinate.Pos;
import net.minestom.server.event.player.AsyncPlayerConfigurationEvent;
import net.minestom.server.event.player.PlayerChatEvent;
import net.minestom.server.event.server.ServerListPingEvent;
import net.minestom.server.instance.block.Block;
import net.minestom.server.ping.Status;

/** A Minecraft server with a flat world, for the tests: java Server PORT MOTD. Ends with its stdin. */
public final class Server {
    public static void main(String[] arguments) throws Exception {
        var motd = Component.text(arguments[1]);
        var server = MinecraftServer.init(new Auth.Offline());
        var world = MinecraftServer.getInstanceManager().createInstanceContainer();
        world.setGenerator(unit -> unit.modifier().fillHeight(0, 40, Block.STONE));

        var events = MinecraftServer.getGlobalEventHandler();
        events.addListener(AsyncPlayerConfigurationEvent.class, event -> {
            event.setSpawningInstance(world);
            event.getPlayer().setRespawnPoint(new Pos(0, 42, 0));
        });
        events.addListener(ServerListPingEvent.class,
            event -> event.setStatus(Status.builder().description(motd).playerInfo(3, 50).build()));
        events.addListener(PlayerChatEvent.class,
            event -> event.setFormattedMessage(Component.text("heard: " + event.getRawMessage())));

        server.start(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])));
        System.out.println("listening on " + MinecraftServer.getServer().getPort());
        while (System.in.read() >= 0) {
            // Nothing is said here: only the end counts.
        }
        System.exit(0);
    }
}

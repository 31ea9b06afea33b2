//! A virtio network card over MMIO. Frames move between its rings and the pool and are never copied.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use arm_gic::IntId;
use dtoolkit::fdt::Fdt;
use dtoolkit::standard::NodeStandard;
use dtoolkit::{Node, Property};
use heapless::Vec;
use static_cell::StaticCell;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};
use vtep::wire::MacAddr;

use crate::buffer::{Owned, Pool};

/// Places in each ring.
pub const QUEUE: usize = 128;
/// The header the card wants in front of every frame; all zero for a frame without offloads.
const HEADER: usize = 12;

/// One card.
pub struct Nic {
    card: VirtIONetRaw<Memory, MmioTransport<'static>, QUEUE>,
    receiving: [Option<Owned>; QUEUE],
    sending: [Option<Owned>; QUEUE],
    /// Frames that found the transmit ring full.
    pub overrun: u32,
}

impl Nic {
    /// Starts a card and gives it frames to receive into.
    ///
    /// It is some kilobytes, and moves to static memory at once.
    #[inline(never)]
    pub fn start(transport: MmioTransport<'static>, pool: &mut Pool) -> Result<&'static mut Self, &'static str> {
        static FIRST: StaticCell<Nic> = StaticCell::new();
        static SECOND: StaticCell<Nic> = StaticCell::new();
        let nic = Self::new(transport).map_err(|_| "a card does not start")?;
        let place = FIRST.try_uninit().or_else(|| SECOND.try_uninit()).ok_or("too many cards")?;
        let nic = place.write(nic);
        while let Some(frame) = pool.take() {
            if let Err(frame) = nic.lend(frame) {
                pool.put(frame);
                break;
            }
        }
        Ok(nic)
    }

    fn new(transport: MmioTransport<'static>) -> Result<Self, virtio_drivers::Error> {
        let mut card = VirtIONetRaw::new(transport)?;
        card.enable_interrupts();
        Ok(Self { card, receiving: [const { None }; QUEUE], sending: [const { None }; QUEUE], overrun: 0 })
    }

    /// The card's address.
    pub fn mac(&self) -> MacAddr {
        MacAddr(self.card.mac_address())
    }

    /// Lets the card raise its interrupt anew.
    pub fn acknowledge(&mut self) {
        let _ = self.card.ack_interrupt();
    }

    /// The next received frame; `pool` replaces it in the ring. Without a replacement it stays there.
    pub fn receive(&mut self, pool: &mut Pool) -> Option<Owned> {
        let token = self.card.poll_receive()?;
        let replacement = pool.take()?;
        let frame = self.receiving.get_mut(usize::from(token))?.take()?;
        // SAFETY: the buffer that was lent under this token, which nobody has touched since.
        let received = unsafe { self.card.receive_complete(token, frame.landing(HEADER)) };
        let len = received.map_or(0, |(_, len)| len);
        let start = frame.range().start;
        frame.set_range(start..start + len);
        if let Err(replacement) = self.lend(replacement) {
            pool.put(replacement);
        }
        Some(frame)
    }

    /// Sends a frame, or gives it back where the ring is full.
    pub fn send(&mut self, frame: Owned) -> Result<(), Owned> {
        let bytes = frame.with_header(HEADER);
        if bytes.len() <= HEADER || !self.card.can_send() {
            self.overrun += 1;
            return Err(frame);
        }
        bytes[..HEADER].fill(0);
        // SAFETY: the frame stands in `sending` until the card is done, and nobody touches it there.
        match unsafe { self.card.transmit_begin(bytes) } {
            Ok(token) => {
                if let Some(place) = self.sending.get_mut(usize::from(token)) {
                    *place = Some(frame);
                }
                Ok(())
            }
            Err(_) => Err(frame),
        }
    }

    /// Brings sent frames back to the pool.
    pub fn reclaim(&mut self, pool: &mut Pool) {
        while let Some(token) = self.card.poll_transmit() {
            let Some(frame) = self.sending.get_mut(usize::from(token)).and_then(Option::take) else { return };
            // SAFETY: the buffer that was sent under this token, as long as it was then.
            let _ = unsafe { self.card.transmit_complete(token, frame.with_header(HEADER)) };
            pool.put(frame);
        }
    }

    /// Gives the card a frame to receive into.
    fn lend(&mut self, frame: Owned) -> Result<(), Owned> {
        // SAFETY: the frame stands in `receiving` until the card is done, and nobody touches it there.
        match unsafe { self.card.receive_begin(frame.landing(HEADER)) } {
            Ok(token) => {
                if let Some(place) = self.receiving.get_mut(usize::from(token)) {
                    *place = Some(frame);
                }
                Ok(())
            }
            Err(_) => Err(frame),
        }
    }
}

/// The network cards of the machine and their interrupts, by address.
pub fn cards(tree: &Fdt<'static>) -> impl Iterator<Item = (MmioTransport<'static>, IntId)> {
    let mut places: Vec<(usize, usize, IntId), 64> = Vec::new();
    let root = tree.root();
    for node in root.find_compatible("virtio,mmio") {
        let Some(reg) = node.reg().ok().flatten().and_then(|mut regs| regs.next()) else { continue };
        let interrupt = node.property("interrupts").and_then(|cells| interrupt(cells.value()));
        if let (Ok(address), Ok(size), Some(interrupt)) = (reg.address::<u64>(), reg.size::<u64>(), interrupt) {
            let _ = places.push((address as usize, size as usize, interrupt));
        }
    }
    places.sort_unstable();
    places.into_iter().filter_map(|(address, size, interrupt)| {
        let header = NonNull::new(address as *mut VirtIOHeader)?;
        // SAFETY: the device tree says that there is a virtio transport, and each place is used once.
        let transport = unsafe { MmioTransport::new(header, size) }.ok()?;
        (transport.device_type() == DeviceType::Network).then_some((transport, interrupt))
    })
}

/// The first interrupt of a device: type (0 is shared), number, trigger, of 32 bits each.
fn interrupt(cells: &[u8]) -> Option<IntId> {
    let (kind, rest) = cells.split_first_chunk()?;
    let number = u32::from_be_bytes(*rest.first_chunk()?);
    (u32::from_be_bytes(*kind) == 0 && number < 988).then(|| IntId::spi(number))
}

/// Memory for the rings: static, given out page by page and never back. Addresses are the same for CPU and devices.
struct Memory;

/// Two cards with two rings each.
const PAGES: usize = 16;

#[repr(C, align(4096))]
struct Pages([u8; PAGES * PAGE_SIZE]);

// SAFETY: pages are zero from the start, page-aligned, and given out once each.
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        static mut RINGS: Pages = Pages([0; PAGES * PAGE_SIZE]);
        static USED: AtomicUsize = AtomicUsize::new(0);
        let first = USED.fetch_add(pages, Ordering::Relaxed);
        if first + pages > PAGES {
            // The driver takes address 0 for a failure.
            return (0, NonNull::dangling());
        }
        let start = (&raw mut RINGS).cast::<u8>().wrapping_add(first * PAGE_SIZE);
        (start as PhysAddr, NonNull::new(start).unwrap_or(NonNull::dangling()))
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(address as *mut u8).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
